import type { Socket as UdpSocket } from "node:dgram";
import { createSocket } from "node:dgram";
import type { Socket } from "node:net";
import { isIPv6 } from "node:net";
import type { Clock } from "../../common/base/clock.ts";
import type { DnsTable } from "../../common/model/dns.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { Listener } from "../net/listen.ts";
import { listen } from "../net/listen.ts";
import { answerFor, refusalBytes, serverFailure } from "./answer.ts";
import { DnsFrames, frame } from "./frames.ts";
import { NameTable } from "./name-table.ts";
import type { UpstreamResolver } from "./upstream-resolver.ts";

/** From where a question was answered: the mesh's own names, the machine's name servers, or nowhere. */
export type AnswerSource = "mesh" | "upstream" | "failed";

export interface DnsServerParts {
  readonly clock: Clock;
  readonly upstream: UpstreamResolver;
  /** Hears of each question that was answered. */
  readonly onAnswer: (from: AnswerSource) => void;
}

/** ms without a message after which a TCP connection ends (RFC 7766 section 6.2.3 asks for seconds). */
const tcpIdleMs = 10_000;
const maxTcpConnections = 256;

/**
 * Answers DNS questions over UDP and TCP: names of the mesh from its table, the rest from the machine's own name servers. What Istio's
 * agent does with its `--dns-capture`, and Envoy with its dns_filter.
 */
export class DnsServer {
  readonly #parts: DnsServerParts;
  #names = new NameTable({ domains: [] });
  #udp: UdpSocket | undefined = undefined;
  #tcp: Listener | undefined = undefined;
  readonly #connections = new Set<Socket>();
  #turn = 0;

  constructor(parts: DnsServerParts) {
    this.#parts = parts;
  }

  /** Takes the place of the names before; questions under way are answered by those. */
  configure(table: DnsTable): void {
    this.#names = new NameTable(table);
  }

  get names(): number {
    return this.#names.size;
  }

  /** Where it listens, the same port for UDP and TCP. Rejects with an Error that says where, why and what to do. */
  async open(asked: SocketAddress): Promise<SocketAddress> {
    this.#tcp = await listen(asked, (socket) => this.#serve(socket));
    const { address } = this.#tcp;
    const udp = createSocket(isIPv6(address.host) ? "udp6" : "udp4");
    this.#udp = udp;
    await new Promise<void>((resolve, reject) => {
      udp.once("error", (error) => {
        void this.close();
        reject(
          new Error(`cannot listen on ${address.host}:${address.port} for DNS over UDP: ${error.message}`),
        );
      });
      udp.bind(address.port, address.host, resolve);
    });
    udp.removeAllListeners("error");
    // An answer that can't be sent is one that the asker asks for again.
    udp.on("error", () => {});
    udp.on("message", (message, { address: host, port }) => {
      void this.#answer(message, "udp").then((bytes) => {
        if (bytes !== undefined && this.#udp === udp) udp.send(bytes, port, host);
      });
    });
    return address;
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#udp === undefined) resolve();
    else this.#udp.close(resolve);
    this.#udp = undefined;
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([promise, this.#tcp?.close()]);
    this.#tcp = undefined;
  }

  async #answer(message: Buffer, transport: "udp" | "tcp"): Promise<Buffer | undefined> {
    this.#turn = (this.#turn + 1) % 0x1_0000;
    const verdict = answerFor(message, this.#names, transport, this.#turn);
    const { onAnswer, upstream } = this.#parts;
    switch (verdict.kind) {
      case "ignore":
        return undefined;
      case "answer":
        onAnswer("mesh");
        return verdict.bytes;
      case "forward": {
        const bytes = await upstream.ask(message, transport);
        onAnswer(bytes === undefined ? "failed" : "upstream");
        return bytes ?? refusalBytes(message, serverFailure);
      }
    }
  }

  #serve(socket: Socket): void {
    if (this.#connections.size >= maxTcpConnections) {
      socket.destroy();
      return;
    }
    this.#connections.add(socket);
    const { clock } = this.#parts;
    const frames = new DnsFrames();
    const idle = (): (() => void) => clock.after(tcpIdleMs, () => socket.destroy());
    let cancel = idle();
    socket.on("error", () => {});
    socket.on("close", () => {
      cancel();
      this.#connections.delete(socket);
    });
    socket.on("end", () => socket.end());
    socket.on("data", (chunk: Buffer) => {
      cancel();
      cancel = idle();
      // Several questions may come at once; answers go back as they are found (RFC 7766 section 6.2.1.1).
      for (const message of frames.push(chunk)) {
        void this.#answer(message, "tcp").then((bytes) => {
          if (bytes !== undefined && socket.writable) socket.write(frame(bytes));
        });
      }
    });
  }
}
