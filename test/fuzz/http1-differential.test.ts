import type { IncomingMessage } from "node:http";
import { createServer, request as httpRequest } from "node:http";
import { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Body } from "../../proxy/http/body.ts";
import { defaultHttpServerSettings } from "../../proxy/http/http-server.ts";
import { RequestReader } from "../../proxy/http/http1/request-reader.ts";
import { ResponseReader } from "../../proxy/http/http1/response-reader.ts";
import { cuts, pieces, requestStream, responseStream } from "./http1-bytes.ts";

/** What both parsers must agree on about one complete message. */
interface Message {
  first: string;
  fields: string[];
  body: string;
  trailers: string[];
}

interface Reading {
  readonly messages: Message[];
  /** The parser refused the bytes behind these messages. */
  refused: boolean;
}

const seed = 20_261_122;
const ownFields = new Set([
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "te",
  "x-hop",
]);
const forbiddenTrailers = new Set([
  "content-length",
  "transfer-encoding",
  "host",
  "connection",
  "keep-alive",
  "cookie",
  "expect",
  "te",
]);

describe(`HTTP/1.1 beside Node's own parser (seed ${seed})`, () => {
  it("accepts no request that llhttp refuses, and frames none differently", {
    timeout: 120_000,
  }, async () => {
    let accepted = 0;
    let refused = 0;
    const property = fc.asyncProperty(requestStream, cuts, async (stream, fractions) => {
      const chunks = pieces(stream, fractions);
      const ours = readRequests(chunks);
      const theirs = await nodeRequests(chunks, ours.messages.length);
      accepted += ours.messages.length;
      if (ours.refused) refused++;
      agree(ours, theirs);
    });
    await fc.assert(property, { seed, numRuns: 15_000 });
    // The property must not hold by refusing everything.
    expect(accepted).toBeGreaterThan(3_000);
    expect(refused).toBeGreaterThan(500);
  });

  it("accepts no response that llhttp refuses, and frames none differently", {
    timeout: 120_000,
  }, async () => {
    let accepted = 0;
    const property = fc.asyncProperty(
      responseStream,
      cuts,
      fc.boolean(),
      async (stream, fractions, toHead) => {
        const chunks = pieces(stream, fractions);
        const ours = readResponse(chunks, toHead);
        const theirs = await nodeResponse(chunks, toHead, ours.messages.length);
        accepted += ours.messages.length;
        agree(ours, theirs);
      },
    );
    await fc.assert(property, { seed, numRuns: 15_000 });
    expect(accepted).toBeGreaterThan(1_500);
  });
});

function agree(ours: Reading, theirs: Reading): void {
  expect(theirs.messages.slice(0, ours.messages.length)).toEqual(ours.messages);
  // Waiting for more where the other has seen an end would be a different framing.
  if (!ours.refused) expect(ours.messages).toHaveLength(theirs.messages.length);
}

function readRequests(chunks: readonly Buffer[]): Reading {
  const reading: Reading = { messages: [], refused: false };
  let isOver = false;
  let current: Message;
  const reader = new RequestReader(defaultHttpServerSettings, {
    requestRead(head, body) {
      const target = head.path === "*" ? head.path : `${head.path}`;
      current = { first: `${head.method} ${target}`, fields: shared(head.fields), body: "", trailers: [] };
      if (head.connection.close) isOver = true;
      collect(body, current, () => reading.messages.push(current));
    },
    bodyResumed() {},
    bodyCancelled() {},
  });
  try {
    let released = 0;
    for (const chunk of chunks) {
      if (isOver && released === reading.messages.length - 1) break;
      // A copy, because a codec may write over what it has read, and the other one reads it too.
      reader.feed(Buffer.from(chunk));
      while (released < reading.messages.length && !isOver) {
        released++;
        reader.next();
      }
    }
  } catch {
    reading.refused = true;
  }
  if (isOver) reading.refused = true;
  return reading;
}

/** node:http in its strict mode (the default), fed with the same reads. */
async function nodeRequests(chunks: readonly Buffer[], awaited: number): Promise<Reading> {
  const reading: Reading = { messages: [], refused: false };
  const server = createServer({
    maxHeaderSize: 64 * 1024,
    requireHostHeader: true,
    keepAliveTimeout: 0,
    requestTimeout: 0,
  });
  server.on("request", (request, response) => {
    readIncoming(request, `${request.method} ${originForm(request)}`, reading);
    request.on("end", () => response.end());
  });
  server.on("clientError", () => {
    reading.refused = true;
  });
  const socket = new ScriptedSocket();
  server.emit("connection", socket);
  for (const chunk of chunks) {
    socket.push(Buffer.from(chunk));
    await nextTurn();
  }
  await settle(() => reading.messages.length >= awaited);
  socket.destroy();
  server.close();
  return reading;
}

function readResponse(chunks: readonly Buffer[], toHead: boolean): Reading {
  const reading: Reading = { messages: [], refused: false };
  const reader = new ResponseReader(
    { maxHeaderBytes: 60 * 1024, maxHeaderCount: 100 },
    {
      interimRead() {},
      responseRead(head, body) {
        const message: Message = {
          first: `${head.status} ${head.reason}`,
          fields: shared(head.fields),
          body: "",
          trailers: [],
        };
        collect(body, message, () => reading.messages.push(message));
      },
      responseCompleted() {},
      bodyResumed() {},
      bodyCancelled() {},
    },
  );
  reader.expect(toHead);
  try {
    for (const chunk of chunks) reader.feed(Buffer.from(chunk));
    reader.finish();
  } catch {
    reading.refused = true;
  }
  return reading;
}

async function nodeResponse(chunks: readonly Buffer[], toHead: boolean, awaited: number): Promise<Reading> {
  const reading: Reading = { messages: [], refused: false };
  const socket = new ScriptedSocket();
  const request = httpRequest({
    method: toHead ? "HEAD" : "GET",
    maxHeaderSize: 64 * 1024,
    createConnection: () => socket,
  });
  request.on("response", (response) => {
    response.on("error", () => {});
    readIncoming(response, `${response.statusCode} ${response.statusMessage}`, reading);
  });
  request.on("error", () => {
    reading.refused = true;
  });
  request.end();
  await nextTurn();
  for (const chunk of chunks) {
    if (!socket.destroyed) socket.push(Buffer.from(chunk));
    await nextTurn();
  }
  if (!socket.destroyed) socket.push(null);
  await settle(() => reading.messages.length >= awaited);
  socket.destroy();
  return reading;
}

function readIncoming(incoming: IncomingMessage, first: string, reading: Reading): void {
  let body = "";
  incoming.on("data", (chunk: Buffer) => {
    body += chunk.toString("latin1");
  });
  incoming.on("end", () => {
    if (!incoming.complete) return;
    const trailers = pairs(incoming.rawTrailers).filter(
      ([name]) => !forbiddenTrailers.has(name.toLowerCase()),
    );
    reading.messages.push({ first, fields: shared(incoming.rawHeaders), body, trailers: trailers.flat() });
  });
}

/** The bytes of a real Body, and the end when it comes. */
function collect(body: Body, message: Message, ended: () => void): void {
  body.pipe({
    data(chunk) {
      message.body += chunk.toString("latin1");
      return true;
    },
    end(trailers) {
      message.trailers = trailers?.raw.slice() ?? [];
      ended();
    },
    fail() {},
  });
}

/** Fields that both sides keep; ours has taken the hop-by-hop ones out. Numbers are compared as numbers. */
function shared(raw: readonly string[]): string[] {
  return pairs(raw)
    .filter(([name]) => !ownFields.has(name.toLowerCase()))
    .flatMap(([name, value]) => [
      name,
      name.toLowerCase() === "content-length" ? String(Number(value)) : value,
    ]);
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!, raw[2 * i + 1]!]);
}

function originForm(request: IncomingMessage): string {
  const url = request.url ?? "";
  if (url.startsWith("/") || url === "*") return url;
  const rest = url.replace(/^https?:\/\/[^/?]*/i, "");
  if (rest === "") return request.method === "OPTIONS" ? "*" : "/";
  return rest.startsWith("?") ? `/${rest}` : rest;
}

async function settle(isDone: () => boolean): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await nextTurn();
  for (let turn = 0; turn < 50 && !isDone(); turn++) await nextTurn();
}

/** A socket whose other end is the test. */
class ScriptedSocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
}
