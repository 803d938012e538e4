import type { Socket } from "node:net";
import type { Clock } from "../../../common/base/clock.ts";
import type { MeshError } from "../../errors.ts";
import { meshError, toMeshError } from "../../errors.ts";
import type { Body } from "../body.ts";
import type { ClientConnection } from "../client-connection.ts";
import type { Exchange, Response } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import type { Http1ClientSettings } from "./client-settings.ts";
import { Deadline } from "./deadline.ts";
import type { Framing } from "./framing.ts";
import { requestHead } from "./head-writer.ts";
import type { MessageWriterEvents } from "./message-writer.ts";
import { MessageWriter } from "./message-writer.ts";
import type { ResponseHead } from "./response-head.ts";
import type { ResponseReaderEvents } from "./response-reader.ts";
import { ResponseReader } from "./response-reader.ts";

/** A server that promises N seconds may close a little early; we stop using the connection this long before. */
const keepAliveMarginMs = 1_000;

/** RFC 9110 9.2.2. */
const idempotentMethods = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY", "SEARCH"]);

/** One connection to an endpoint, from connect to close: one exchange at a time. */
export class UpstreamConnection implements ClientConnection, ResponseReaderEvents, MessageWriterEvents {
  isReused = false;
  readonly isMultiplexed = false;
  onAvailable: (() => void) | undefined = undefined;
  onEnded: (() => void) | undefined = undefined;
  onClose: (() => void) | undefined = undefined;

  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #settings: Http1ClientSettings;
  readonly #reader: ResponseReader;
  readonly #writer: MessageWriter;
  readonly #deadline: Deadline;
  #state: "idle" | "busy" | "closed" = "idle";
  #exchange: Exchange | undefined = undefined;
  /** The request body being sent: ours to cancel. Filters may put another in the exchange for a second attempt. */
  #body: Body | undefined = undefined;
  #resolve: ((response: Response) => void) | undefined = undefined;
  #reject: ((error: MeshError) => void) | undefined = undefined;
  #isRequestWritten = false;
  /** No request follows the one under way. */
  #isLast = false;
  #isPaused = false;
  #isTunnel = false;
  #idleMs: number;

  constructor(socket: Socket, clock: Clock, settings: Http1ClientSettings) {
    this.#socket = socket;
    this.#clock = clock;
    this.#settings = settings;
    this.#idleMs = settings.idleTimeoutMs;
    this.#reader = new ResponseReader(settings, this);
    this.#writer = new MessageWriter(socket, this);
    this.#deadline = new Deadline(clock, () => this.destroy());
    if (socket.destroyed) {
      // Nothing more will be heard of it.
      this.#state = "closed";
      return;
    }
    this.#awaitRequest();
    socket.on("error", (error) => this.#lost(error));
    socket.on("close", () => this.#lost(undefined));
    socket.on("end", () => this.#ended());
    socket.on("data", (chunk: Buffer) => this.#feed(chunk));
  }

  get capacity(): number {
    // A timer may be late; the promise of the server is not.
    if (this.#state !== "idle") return 0;
    return this.#idleMs < this.#settings.idleTimeoutMs && this.#clock.monotonic() >= this.#deadline.at
      ? 0
      : 1;
  }

  get localAddress(): string {
    const { localAddress = "", localPort = 0 } = this.#socket;
    return `${localAddress}:${localPort}`;
  }

  send(exchange: Exchange): Promise<Response> {
    if (this.#state !== "idle")
      return Promise.reject(meshError("reset_before_request", "connection_not_available"));
    const { body, upgrade } = exchange;
    const framing: Framing = upgrade !== undefined ? "tunnel" : (body.length ?? "chunked");
    let head: string;
    try {
      head = requestHead(exchange, framing);
    } catch (thrown) {
      return Promise.reject(toMeshError(thrown));
    }
    this.#state = "busy";
    // The promise of the server is about idle connections; how long an answer may take is for the others to say.
    this.#deadline.set(Number.POSITIVE_INFINITY, 0);
    this.#exchange = exchange;
    this.#isRequestWritten = false;
    this.#reader.expect(exchange.method === "HEAD");
    const answered = new Promise<Response>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The connection may serve another exchange by the time this one is cancelled.
    exchange.whenCancelled((cause) => {
      if (this.#exchange === exchange) this.#break(cause);
    });
    // It may have been cancelled before: then nothing must be written.
    if (this.#exchange === undefined) return answered;
    if (framing !== 0 && upgrade === undefined) this.#body = body;
    if (upgrade !== undefined) {
      this.#isRequestWritten = true;
      this.#writer.writeHead(head);
    } else this.#writer.write(head, body, framing);
    return answered;
  }

  close(): void {
    if (this.#state === "idle") this.destroy();
    else this.#isLast = true;
  }

  destroy(): void {
    this.#lost(undefined);
  }

  // --- request out ---

  messageProgressed(): void {}

  messageWritten(): void {
    if (this.#isTunnel) {
      // The client's half ended; the server may still send.
      this.#socket.end();
      return;
    }
    this.#isRequestWritten = true;
    if (this.#reader.isComplete) this.#completed();
  }

  messageBroken(cause: MeshError): void {
    this.#break(cause);
  }

  // --- response in ---

  #feed(chunk: Buffer): void {
    if (this.#state === "closed") return;
    try {
      this.#reader.feed(chunk);
    } catch (thrown) {
      this.#break(meshError("upstream_protocol_error", toMeshError(thrown).detail, thrown));
      return;
    }
    if (this.#reader.isBlocked && !this.#isPaused) {
      this.#isPaused = true;
      this.#socket.pause();
    }
  }

  interimRead(head: ResponseHead): void {
    this.#exchange?.inform(head.status, new HeaderList(head.fields));
  }

  responseRead(head: ResponseHead, body: Body): void {
    const exchange = this.#exchange!;
    if (!head.keepsAlive) this.#isLast = true;
    if (head.keepAliveSeconds !== undefined) {
      const promisedMs = Math.max(0, head.keepAliveSeconds * 1000 - keepAliveMarginMs);
      this.#idleMs = Math.min(promisedMs, this.#settings.idleTimeoutMs);
    }
    if (head.status === 101) {
      if (exchange.upgrade === undefined || head.upgrade !== exchange.upgrade) {
        this.#break(meshError("upstream_protocol_error", "http1.unexpected_switch_of_protocols"));
        return;
      }
      this.#isTunnel = true;
      this.#isLast = true;
    }
    const resolve = this.#resolve!;
    this.#resolve = undefined;
    this.#reject = undefined;
    const headers = new HeaderList(head.fields);
    if (this.#reader.isComplete) this.#responseEnded();
    resolve({ status: head.status, reason: head.reason, headers, body });
    if (this.#isTunnel) {
      this.#body = exchange.body;
      this.#writer.tunnel(exchange.body);
    }
  }

  responseCompleted(): void {
    this.#responseEnded();
  }

  bodyResumed(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  bodyCancelled(cause: MeshError | undefined): void {
    this.#break(cause ?? meshError("downstream_closed"));
  }

  #responseEnded(): void {
    if (this.#isRequestWritten) this.#completed();
    else {
      // The answer came before the whole request was sent (RFC 9112 9.3): the rest is not sent, and nothing can follow.
      this.#isLast = true;
      this.#writer.abandon();
      this.#body?.cancel();
      this.#completed();
    }
  }

  #completed(): void {
    this.#exchange = undefined;
    this.#body = undefined;
    this.isReused = true;
    if (this.#isPaused) this.bodyResumed();
    if (this.#isLast || this.#idleMs === 0) {
      this.destroy();
      return;
    }
    this.#state = "idle";
    this.#awaitRequest();
    this.onAvailable?.();
  }

  #awaitRequest(): void {
    const now = this.#clock.monotonic();
    this.#deadline.set(now + this.#idleMs, now);
  }

  // --- endings ---

  /** FIN from the server. */
  #ended(): void {
    if (this.#state === "closed") return;
    if (this.#state === "busy" && this.#reader.finish()) {
      if (this.#isTunnel) this.#tunnelHalfEnded();
      else {
        this.#isLast = true;
        this.#responseEnded();
      }
    } else this.#lost(undefined);
  }

  /** The server ended its half of a tunnel; the connection lives until the client ends the other. */
  #tunnelHalfEnded(): void {
    if (this.#body?.isComplete) this.destroy();
  }

  /** The connection is gone, or no longer wanted. */
  #lost(error: Error | undefined): void {
    if (this.#state === "closed") return;
    if (this.#state === "busy" && !this.#reader.isComplete) this.#break(this.#resetCause(error));
    else if (this.#state === "busy" && this.#isTunnel)
      this.#break(meshError("upstream_reset", "tunnel_closed", error));
    else this.#close();
  }

  /** Whether the request may be sent again depends on what the server can have seen of it. RFC 9110 9.2.2, RFC 9112 9.5. */
  #resetCause(error: Error | undefined): MeshError {
    const exchange = this.#exchange!;
    if (this.#resolve === undefined)
      return meshError("upstream_reset", "upstream_reset_after_response_started", error);
    const isHarmless =
      this.isReused &&
      !this.#reader.hasBytes &&
      idempotentMethods.has(exchange.method) &&
      this.#body === undefined;
    return isHarmless
      ? meshError("reset_before_request", "reset_of_idle_connection", error)
      : meshError("upstream_reset", "upstream_reset_before_response_started", error);
  }

  /** Ends the exchange under way with `cause`, and the connection with it. */
  #break(cause: MeshError): void {
    if (this.#state === "closed") return;
    const body = this.#body;
    const reject = this.#reject;
    this.#resolve = undefined;
    this.#reject = undefined;
    this.#exchange = undefined;
    this.#body = undefined;
    this.#writer.abandon();
    this.#close();
    this.#reader.fail(cause);
    body?.cancel(cause);
    reject?.(cause);
  }

  #close(): void {
    this.#state = "closed";
    this.#deadline.stop();
    this.#socket.destroy();
    this.onClose?.();
  }
}
