/** What runs until it is told to end. */
export interface Running {
  readonly log: { info(message: string): void };
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Runs a control plane until SIGTERM or SIGINT. Answers with the process's exit code: 0 after an orderly end, 1 when it
 * could not start or a second signal cut the end short. What nobody caught ends the process with 1: proxies go on with
 * what they have, and a supervisor starts it anew.
 */
export async function runUntilSignal(start: () => Promise<Running>): Promise<number> {
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  const { promise: hurried, resolve: hurry } = Promise.withResolvers<"hurried">();
  let isEnding = false;
  const onSignal = (signal: string) => {
    if (isEnding) hurry("hurried");
    isEnding = true;
    end(signal);
  };
  const crash = (thrown: unknown) => {
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    process.stderr.write(`the control plane ends, because of an error that nobody caught: ${text}\n`);
    process.exit(1);
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  process.on("uncaughtException", crash).on("unhandledRejection", crash);
  let app: Running;
  try {
    app = await start();
  } catch (cause) {
    process.stderr.write(`weft control-plane: ${(cause as Error).message}\n`);
    return 1;
  }
  app.log.info(`ending on ${await ended}`);
  const orderly = app.drain().then(() => app.stop());
  return (await Promise.race([orderly, hurried])) === "hurried" ? 1 : 0;
}
