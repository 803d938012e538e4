import type { Clock } from "../../common/base/clock.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { AnswerSource } from "../dns/dns-server.ts";
import { DnsServer } from "../dns/dns-server.ts";
import type { UpstreamResolver } from "../dns/upstream-resolver.ts";
import type { OpenPort } from "./open-port.ts";

export interface OpenDnsParts {
  readonly clock: Clock;
  /** Who knows the names that the mesh does not have. */
  readonly resolver: UpstreamResolver;
  /** Hears of each question that was answered. */
  readonly onAnswer: (from: AnswerSource) => void;
}

/** A port where questions about names are answered. */
export class OpenDns implements OpenPort {
  readonly connections = 0;
  readonly #clock: Clock;
  readonly #server: DnsServer;
  #listener: Listener;
  #port = 0;

  constructor(listener: Listener, { clock, resolver, onAnswer }: OpenDnsParts) {
    this.#listener = listener;
    this.#clock = clock;
    this.#server = new DnsServer({ clock, upstream: resolver, onAnswer });
  }

  get listener(): Listener {
    return this.#listener;
  }

  get port(): number {
    return this.#port;
  }

  async configure(listener: Listener): Promise<void> {
    this.#listener = listener;
    this.#server.configure(listener.dns ?? { domains: [] });
  }

  async open(): Promise<void> {
    const { address: host, port } = this.#listener;
    this.#port = (await this.#server.open({ host, port })).port;
  }

  /** Who is still served by other listeners may still ask, so answers go on until those have ended, too. */
  drain(_idleGraceMs: number, limitMs: number): Promise<void> {
    this.#clock.after(limitMs, () => this.stop());
    return Promise.resolve();
  }

  stop(): void {
    void this.#server.close();
  }
}
