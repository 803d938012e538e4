import type { Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { ServerTls } from "../../common/model/tls.ts";
import type { TlsServerParts } from "../net/tls-server.ts";
import { TlsServer } from "../net/tls-server.ts";

/**
 * The TLS of one filter chain through changes of config. New settings take over when their certificates can be read; until then the
 * ones before stay, and without any, connections are refused. So a file that is not there yet holds up nothing else.
 */
export class ChainTls {
  readonly #parts: TlsServerParts;
  #current: TlsServer | undefined = undefined;
  #next: TlsServer | undefined = undefined;

  constructor(parts: TlsServerParts) {
    this.#parts = parts;
  }

  /** Settles after the first attempt to read the certificates; attempts go on. */
  async configure(tls: ServerTls | undefined): Promise<void> {
    const latest = this.#next ?? this.#current;
    if (isDeepStrictEqual(latest?.tls, tls)) return;
    this.#next?.stop();
    this.#next = undefined;
    if (tls === undefined) {
      this.stop();
      return;
    }
    const next = new TlsServer(tls, this.#parts);
    this.#next = next;
    next.onReady = () => {
      if (this.#next !== next) return;
      this.#current?.stop();
      this.#current = next;
      this.#next = undefined;
    };
    await next.refresh();
  }

  get isConfigured(): boolean {
    return (this.#next ?? this.#current) !== undefined;
  }

  accept(socket: Socket): void {
    if (this.#current === undefined) socket.destroy();
    else this.#current.accept(socket);
  }

  stop(): void {
    this.#next?.stop();
    this.#current?.stop();
    this.#next = undefined;
    this.#current = undefined;
  }
}
