/** What runs until it is told to end. */
export interface Running {
  readonly log: { info(message: string, fields: { readonly why: string }): void };
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Runs a proxy until SIGTERM, SIGINT or /quitquitquit, then drains. Answers with the process's exit code: 0 after a drain, 1 when it could
 * not start or when a second signal cut the drain short. What nobody caught ends the process with 1: a supervisor starts it anew, while
 * going on could serve from a broken state.
 */
export async function runUntilSignal(
  start: (events: { readonly onQuit: () => void }) => Promise<Running>,
): Promise<number> {
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  const { promise: hurried, resolve: hurry } = Promise.withResolvers<undefined>();
  let app: Running;
  let isEnding = false;
  const onEnd = (why: string) => {
    if (isEnding) hurry(undefined);
    isEnding = true;
    end(why);
  };
  const crash = (thrown: unknown) => {
    process.stderr.write(
      `${JSON.stringify({ level: "fatal", msg: "uncaught exception", err: describe(thrown) })}\n`,
    );
    process.exit(1);
  };
  process.on("SIGTERM", onEnd).on("SIGINT", onEnd);
  process.on("uncaughtException", crash).on("unhandledRejection", crash);
  try {
    app = await start({ onQuit: () => onEnd("quit") });
  } catch (cause) {
    process.stderr.write(`${(cause as Error).message}\n`);
    return 1;
  }
  // The clock's timers do not keep the process alive, and before there are listeners nothing else might.
  const alive = new MessageChannel().port1;
  alive.ref();
  const why = await ended;
  app.log.info("ending", { why });
  const isHurried = await Promise.race([app.drain().then(() => false), hurried.then(() => true)]);
  await app.stop();
  alive.close();
  return isHurried ? 1 : 0;
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
