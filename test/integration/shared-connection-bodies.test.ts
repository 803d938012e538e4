import type { Server } from "node:http";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PairOfSidecars } from "../support/pair-of-sidecars.ts";
import { startPairOfSidecars } from "../support/pair-of-sidecars.ts";

/** MB of each body; WEFT_BODY_MB=1024 shows the whole gigabyte. */
const megabytes = Number(process.env["WEFT_BODY_MB"] ?? 300);
const piece = Buffer.alloc(1 << 20, "x");
/** What a sidecar may grow by, bytes. */
const mostGrowth = 20e6;

let app: Server;
let sent = 0;
let received = 0;
let pair: PairOfSidecars;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  app = createServer((incoming, response) => {
    if (incoming.url === "/small") return void response.end("small");
    if (incoming.method === "POST") {
      if (incoming.url === "/stalls") return;
      incoming.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      return void incoming.on("end", () => response.end("taken"));
    }
    let left = megabytes;
    const more = (): void => {
      while (left-- > 0) {
        sent += piece.length;
        if (!response.write(piece)) return void response.once("drain", more);
      }
      response.end();
    };
    more();
  });
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
  pair = await startPairOfSidecars((app.address() as AddressInfo).port);
}, 60_000);
afterAll(async () => {
  agent.destroy();
  await pair.stop();
  app.closeAllConnections();
  app.close();
});

/** What three connections' socket buffers may hold, each up to 10 MB by Linux' defaults, and a window of HTTP/2 at either sidecar: far less than a body. */
const heldOnTheWay = 64 << 20;

describe("large bodies on the connection that two sidecars share", () => {
  it("pass down and up in flat memory", async () => {
    // What the code and its buffers need at all is there after the first.
    expect(await download()).toBe(megabytes << 20);
    expect(await upload("/up")).toBe("taken");
    const before = pair.rssBytes();
    let most = before;
    const look = setInterval(() => {
      most = most.map((bytes, index) => Math.max(bytes, pair.rssBytes()[index]!));
    }, 50);
    received = 0;
    expect(await download()).toBe(megabytes << 20);
    expect(await upload("/up")).toBe("taken");
    clearInterval(look);
    expect(received).toBe(megabytes << 20);
    const growth = most.map((bytes, index) => bytes - before[index]!);
    for (const bytes of growth) expect(bytes).toBeLessThan(mostGrowth);
  }, 240_000);

  it("wait for a reader that stalls, and hold up nobody else", async () => {
    sent = 0;
    const stalled = await new Promise<import("node:http").IncomingMessage>((resolve) => {
      request({ ...target("/down"), agent }, resolve).end();
    });
    stalled.pause();
    await untilStill(() => sent);
    expect(sent).toBeLessThan(heldOnTheWay);
    for (let i = 0; i < 20; i++) expect(await small()).toBe("small");
    let octets = 0;
    stalled.on("data", (chunk: Buffer) => {
      octets += chunk.length;
    });
    await new Promise((resolve) => stalled.on("end", resolve).resume());
    expect(octets).toBe(megabytes << 20);
  }, 120_000);

  it("wait for an app that stalls, and hold up nobody else", async () => {
    let written = 0;
    const upward = request({ ...target("/stalls"), method: "POST", agent });
    upward.on("error", () => {});
    const more = (): void => {
      while (written < megabytes << 20) {
        written += piece.length;
        if (!upward.write(piece)) return void upward.once("drain", more);
      }
    };
    more();
    await untilStill(() => written);
    expect(written).toBeLessThan(heldOnTheWay);
    for (let i = 0; i < 20; i++) expect(await small()).toBe("small");
    upward.destroy();
  }, 120_000);
});

function target(path: string) {
  return { host: "127.0.0.1", port: pair.port, path, headers: { host: "review:9080" } };
}

function download(): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...target("/down"), agent }, (response) => {
      let octets = 0;
      response.on("data", (chunk: Buffer) => {
        octets += chunk.length;
      });
      response.on("end", () => resolve(octets)).on("error", reject);
    });
    asked.on("error", reject).end();
  });
}

function upload(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...target(path), method: "POST", agent }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve(text));
    });
    asked.on("error", reject);
    let left = megabytes;
    const more = (): void => {
      while (left-- > 0) if (!asked.write(piece)) return void asked.once("drain", more);
      asked.end();
    };
    more();
  });
}

function small(): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...target("/small"), agent }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve(text));
    });
    asked.on("error", reject).end();
  });
}

/** Resolves once a count has not grown for a while: all that may be on the way is. */
async function untilStill(count: () => number): Promise<void> {
  for (let before = -1; before !== count(); ) {
    before = count();
    await wait(500);
  }
}
