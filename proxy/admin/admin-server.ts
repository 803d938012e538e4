import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { closestName } from "../../common/base/closest.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import { createServer } from "../http/node-http.ts";
import type { Answer } from "./answer.ts";
import { text } from "./answer.ts";
import type { AdminParts, Page } from "./pages.ts";
import { pages } from "./pages.ts";

/**
 * The pages by which people and scripts on the same machine look at this proxy. It answers only requests that name the loopback
 * host, and refuses those that a web page of another origin sends, so that no browser can be made to use it (DNS rebinding, CSRF).
 */
export class AdminServer {
  readonly #server: Server;

  constructor(parts: AdminParts) {
    this.#server = createServer((request, response) => {
      void respond(parts, request, response);
    });
    this.#server.keepAliveTimeout = 5_000;
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
  response.end(request.method === "HEAD" ? undefined : answer.body);
  // None of the pages reads a body; one that is sent anyway is dropped so that the connection can go on.
  request.resume();
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
