import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { closestName } from "../../common/base/closest.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import { createServer } from "../http/node-http.ts";
import type { Answer } from "./answer.ts";
import { text } from "./answer.ts";
import type { AdminParts, Page } from "./pages.ts";
import { pages } from "./pages.ts";

/** More are closed at once: nobody who looks at a proxy needs so many, and each may hold a page that it does not read. */
const maxConnections = 100;

/**
 * The pages by which people and scripts on the same machine look at this proxy. It answers only requests that name the loopback
 * host, and refuses those that a web page of another origin sends, so that no browser can be made to use it (DNS rebinding, CSRF).
 */
export class AdminServer {
  readonly #server: Server;

  constructor(parts: AdminParts) {
    this.#server = createServer((request, response) => {
      respond(parts, request, response).catch((err: unknown) => {
        parts.log.error("an admin page broke off", { url: request.url, err });
        response.destroy();
      });
    });
    this.#server.keepAliveTimeout = 5_000;
    this.#server.requestTimeout = 30_000;
    this.#server.maxConnections = maxConnections;
  }

  /** Opens the port (0 picks a free one) and answers where it listens. Rejects when the port is taken. */
  start(address: SocketAddress): Promise<SocketAddress> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(address.port, address.host, () => {
        this.#server.off("error", reject);
        const { address: host, port } = this.#server.address() as AddressInfo;
        resolve({ host, port });
      });
    });
  }

  /** Closes the port and every connection. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

async function respond(parts: AdminParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let answer: Answer;
  try {
    answer = await answerTo(parts, request);
  } catch (error) {
    parts.log.error("an admin page failed", { url: request.url, err: error });
    answer = text("the page failed; the log says why", 500);
  }
  response.writeHead(answer.status, {
    "content-type": answer.contentType,
    "cache-control": "no-cache, max-age=0",
    "x-content-type-options": "nosniff",
    ...answer.headers,
  });
  // None of the pages reads a body; one that is sent anyway is dropped so that the connection can go on.
  request.resume();
  if (request.method === "HEAD") response.end();
  else if (typeof answer.body === "string") response.end(answer.body);
  else await sendPieces(answer.body, response);
}

/** Characters that are printed before the traffic gets its turn. */
const sliceLength = 64 * 1024;

/** What is printed while the config changes is the config of the beginning: it is frozen. */
async function sendPieces(pieces: Iterable<string>, response: ServerResponse): Promise<void> {
  let slice = "";
  for (const piece of pieces) {
    slice += piece;
    if (slice.length < sliceLength) continue;
    const hasRoom = response.write(slice);
    slice = "";
    if (!hasRoom) await drained(response);
    await nextTurn();
    if (response.destroyed) return;
  }
  response.end(slice);
}

/** Resolves also when the reader has left. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

function answerTo(parts: AdminParts, request: IncomingMessage): Answer | Promise<Answer> {
  const host = request.headers.host ?? "";
  if (!isLoopbackName(host)) {
    return text(`this is the admin of a proxy: ask for localhost, not for ${JSON.stringify(host)}`, 403);
  }
  const { origin } = request.headers;
  if (origin !== undefined && origin !== `http://${host}`) {
    return text("pages of other origins may not use the admin", 403);
  }
  const url = URL.parse(request.url ?? "/", "http://localhost");
  if (url === null) return text("the URL does not parse", 400);
  const page = pages.find(({ path }) => path === url.pathname);
  if (page === undefined) return unknownPage(url.pathname);
  return dispatch(page, parts, request.method ?? "GET", url.searchParams, host);
}

function dispatch(
  page: Page,
  parts: AdminParts,
  method: string,
  query: URLSearchParams,
  host: string,
): Answer | Promise<Answer> {
  const run = method === "POST" ? page.post : method === "GET" || method === "HEAD" ? page.get : undefined;
  // A reader must not be told that nothing happened when it asked by GET for what only POST does.
  const isMisplacedChange = page.path === "/logging" && method !== "POST" && query.has("level");
  if (run !== undefined && !isMisplacedChange) return run(parts, query);
  const allow = [page.get && "GET, HEAD", page.post && "POST"].filter(Boolean).join(", ");
  return text(
    `use ${isMisplacedChange ? "POST" : allow}, such as: curl -X POST http://${host}${page.path}`,
    405,
    {
      allow,
    },
  );
}

function unknownPage(path: string): Answer {
  const closest = closestName(
    path,
    pages.map((page) => page.path),
  );
  return text(`no such page; ${closest === undefined ? "/help lists all" : `did you mean ${closest}?`}`, 404);
}

function isLoopbackName(host: string): boolean {
  return /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i.test(host);
}
