import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** One page in a Chromium of its own, driven over the DevTools protocol. */
export interface BrowserPage {
  open(url: string): Promise<void>;
  /** Runs an expression in the page and answers with its value, a promise's included. Rejects when it throws. */
  run<T>(expression: string): Promise<T>;
  /** Resolves when the page shows this text, line breaks read as spaces; rejects with what it shows instead. */
  shows(text: string | RegExp): Promise<void>;
  /** Clicks the first element of the selector, whose text holds `text` when given. Waits until there is one. */
  click(selector: string, text?: string): Promise<void>;
  /** A PNG of the window, for a person to look at. */
  screenshot(file: string): Promise<void>;
  /** What the page complained of: uncaught errors, failed loads, `console.error`. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const places = ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];

/** The path of a Chromium on this machine; undefined without one. CHROMIUM names another. */
export function findChromium(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const candidates = [
    ...(process.env["CHROMIUM"] === undefined ? [] : [process.env["CHROMIUM"]]),
    ...names.flatMap((name) => folders.map((folder) => join(folder, name))),
    ...places,
  ];
  return candidates.find(existsSync);
}

/** Starts a headless Chromium with an empty profile. It talks to nobody but the pages that are opened. */
export async function startBrowser(): Promise<BrowserPage> {
  const chromium = findChromium();
  if (chromium === undefined) {
    throw new Error(
      "no Chromium found: install one (Debian: apt-get install chromium), or name one with CHROMIUM=PATH",
    );
  }
  const profile = mkdtempSync(join(tmpdir(), "weft-browser-"));
  const child = spawn(
    chromium,
    [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"],
      ...[
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
      ...[`--user-data-dir=${profile}`, "--remote-debugging-port=0", "--window-size=1200,900", "about:blank"],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const end = async (): Promise<void> => {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
    child.kill("SIGKILL");
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  try {
    return await openPage(await DevTools.connect(await debuggerAddress(child)), end);
  } catch (error) {
    await end();
    throw error;
  }
}

async function openPage(devTools: DevTools, end: () => Promise<void>): Promise<BrowserPage> {
  const { targetId } = await devTools.send<{ targetId: string }>("Target.createTarget", {
    url: "about:blank",
  });
  const attached = await devTools.send<{ sessionId: string }>("Target.attachToTarget", {
    targetId,
    flatten: true,
  });
  const session = attached.sessionId;
  const complaints: string[] = [];
  devTools.onEvent = (method, params) => {
    const complaint = complaintOf(method, params);
    if (complaint !== undefined) complaints.push(complaint);
  };
  for (const domain of ["Page", "Runtime", "Log"]) await devTools.send(`${domain}.enable`, {}, session);

  const run = async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = await devTools.send<Evaluated>(
      "Runtime.evaluate",
      { expression, awaitPromise: true, returnByValue: true },
      session,
    );
    if (exceptionDetails !== undefined) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value as T;
  };
  /** Asks until the answer is true. Other than a wait in the page, it outlives a navigation. */
  const until = async (expression: string, why: () => Promise<string>): Promise<void> => {
    for (const start = Date.now(); Date.now() - start < 15_000; ) {
      if (await run<boolean>(expression).catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(await why());
  };
  const text = (): Promise<string> => run("document.body.innerText");
  return {
    complaints,
    run,
    open: async (url) => {
      await devTools.send("Page.navigate", { url }, session);
      await until(`document.readyState === "complete"`, async () => `${url} does not load`);
    },
    shows: (wanted) => {
      const pattern = typeof wanted === "string" ? undefined : `/${wanted.source}/${wanted.flags}`;
      const test =
        pattern === undefined ? `includes(${JSON.stringify(wanted)})` : `match(${pattern}) !== null`;
      return until(
        `document.body.innerText.replaceAll(/\\s+/g, " ").${test}`,
        async () => `the page does not show ${wanted}, but:\n${await text()}`,
      );
    },
    click: async (selector, holding = "") => {
      const found = `[...document.querySelectorAll(${JSON.stringify(selector)})].find((element) =>
        element.textContent.includes(${JSON.stringify(holding)}) && element.checkVisibility() && !element.disabled)`;
      await until(
        `(() => { const element = ${found}; element?.click(); return element !== undefined; })()`,
        async () => `there is no ${selector} with ${JSON.stringify(holding)} to click on:\n${await text()}`,
      );
    },
    screenshot: async (file) => {
      const { data } = await devTools.send<{ data: string }>(
        "Page.captureScreenshot",
        { captureBeyondViewport: false },
        session,
      );
      writeFileSync(file, Buffer.from(data, "base64"));
    },
    close: async () => {
      devTools.close();
      await end();
    },
  };
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: {
    readonly text: string;
    readonly exception?: { readonly description?: string };
  };
}

function complaintOf(method: string, params: Readonly<Record<string, unknown>>): string | undefined {
  if (
    method === "Runtime.exceptionThrown" ||
    (method === "Runtime.consoleAPICalled" && params["type"] === "error")
  )
    return JSON.stringify(params);
  const entry = params["entry"] as { level: string; text: string; url?: string } | undefined;
  return method === "Log.entryAdded" && entry?.level === "error"
    ? `${entry.text} ${entry.url ?? ""}`
    : undefined;
}

/** Chromium prints its debugger's address once it listens. */
function debuggerAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = "";
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`Chromium ended at its start:\n${printed}`)));
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
      const address = /DevTools listening on (ws:\S+)/.exec(printed)?.[1];
      if (address !== undefined) resolve(address);
    });
  });
}

/** The protocol's commands and events over one WebSocket. */
class DevTools {
  onEvent: (method: string, params: Readonly<Record<string, unknown>>) => void = () => {};
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { done: (result: unknown) => void; failed: (error: Error) => void }>();
  #lastId = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#receive(String(data)));
    socket.addEventListener("close", () => {
      for (const { failed } of this.#waiting.values()) failed(new Error("the browser is gone"));
      this.#waiting.clear();
    });
  }

  static async connect(address: string): Promise<DevTools> {
    const socket = new WebSocket(address);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`no answer from ${address}`)), { once: true });
    });
    return new DevTools(socket);
  }

  send<T>(method: string, params: object, sessionId?: string): Promise<T> {
    const id = ++this.#lastId;
    this.#socket.send(
      JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }),
    );
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done: done as (result: unknown) => void, failed });
    });
  }

  close(): void {
    this.#socket.close();
  }

  #receive(data: string): void {
    const message = JSON.parse(data) as {
      id?: number;
      method?: string;
      params?: Record<string, unknown>;
      result?: unknown;
      error?: { message: string };
    };
    if (message.id === undefined) {
      this.onEvent(message.method ?? "", message.params ?? {});
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.done(message.result);
    else waiting?.failed(new Error(message.error.message));
  }
}
