import type { Socket } from "node:net";
import type { TcpProbe } from "../../../common/model/health-check.ts";
import { meshError, toMeshError } from "../../errors.ts";
import type { ProbeResult, Prober, ProbeTarget } from "./probe.ts";

/** Asks by a connection, and where it is told to by bytes sent and bytes awaited (Envoy's TcpHealthCheck). */
export class TcpProber implements Prober {
  readonly #send: Buffer;
  readonly #receive: readonly Buffer[];
  readonly #target: ProbeTarget;
  #socket: Socket | undefined = undefined;
  #generation = 0;

  constructor({ send = "", receive }: TcpProbe, target: ProbeTarget) {
    this.#send = Buffer.from(send, "hex");
    this.#receive = receive.map((text) => Buffer.from(text, "hex"));
    this.#target = target;
  }

  async ask(): Promise<ProbeResult> {
    try {
      const socket = await this.#open();
      if (this.#send.length > 0) socket.write(this.#send);
      if (this.#receive.length > 0) await this.#await(socket);
      // A connection that is kept proves nothing the next time unless somebody answers on it.
      if (!this.#target.reusesConnection || this.#receive.length === 0) this.close();
      return { isWell: true };
    } catch (thrown) {
      this.close();
      const { code, detail } = toMeshError(thrown);
      return { isWell: false, why: detail === "" ? code : `${code}: ${detail}` };
    }
  }

  close(): void {
    this.#generation++;
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #open(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed && this.#socket.readable) return this.#socket;
    this.close();
    const generation = this.#generation;
    const socket = await this.#target.open([]);
    if (generation !== this.#generation) {
      socket.destroy();
      throw meshError("connect_timeout", "health_check");
    }
    socket.on("error", () => {});
    this.#socket = socket;
    return socket;
  }

  /** Resolves once every awaited piece has come, in order; rejects when the connection ends before. */
  #await(socket: Socket): Promise<void> {
    return new Promise((resolve, reject) => {
      let received: Buffer = Buffer.alloc(0);
      const settle = (): void => {
        socket.off("data", onData).off("end", onEnd).off("close", onEnd);
      };
      const onData = (chunk: Buffer): void => {
        received = Buffer.concat([received, chunk]);
        if (holdsInOrder(received, this.#receive)) {
          settle();
          resolve();
        } else if (received.length > maxAnswerBytes) {
          settle();
          reject(meshError("upstream_protocol_error", "not_what_was_awaited"));
        }
      };
      const onEnd = (): void => {
        settle();
        reject(meshError("upstream_reset", "closed_before_the_answer"));
      };
      socket.on("data", onData).on("end", onEnd).on("close", onEnd);
      socket.resume();
    });
  }
}

function holdsInOrder(received: Buffer, pieces: readonly Buffer[]): boolean {
  let from = 0;
  for (const piece of pieces) {
    const at = received.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return true;
}

const maxAnswerBytes = 64 * 1024;
