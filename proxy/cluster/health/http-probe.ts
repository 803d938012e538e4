import type { HttpProbe, StatusRange } from "../../../common/model/health-check.ts";
import { meshError, toMeshError } from "../../errors.ts";
import { Body } from "../../http/body.ts";
import type { ClientConnection } from "../../http/client-connection.ts";
import type { Response } from "../../http/exchange.ts";
import { Exchange } from "../../http/exchange.ts";
import { HeaderList } from "../../http/header-list.ts";
import type { ProbeResult, Prober, ProbeTarget } from "./probe.ts";

/** Asks by an HTTP request whose status tells (Envoy's HttpHealthCheck). */
export class HttpProber implements Prober {
  readonly #probe: HttpProbe;
  readonly #target: ProbeTarget;
  #connection: ClientConnection | undefined = undefined;
  #exchange: Exchange | undefined = undefined;
  /** Counts the calls of `close`: a connection that opens after one is nobody's. */
  #generation = 0;

  constructor(probe: HttpProbe, target: ProbeTarget) {
    this.#probe = probe;
    this.#target = target;
  }

  async ask(): Promise<ProbeResult> {
    try {
      return this.#judge(await this.#statusOf(this.#connection?.capacity ? this.#connection : undefined));
    } catch (thrown) {
      this.close();
      const { code, detail } = toMeshError(thrown);
      return { isWell: false, why: detail === "" ? code : `${code}: ${detail}` };
    }
  }

  close(): void {
    this.#generation++;
    this.#exchange?.cancel(meshError("request_timeout", "health_check"));
    this.#exchange = undefined;
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  async #statusOf(kept: ClientConnection | undefined): Promise<number> {
    const generation = this.#generation;
    const connection = kept ?? (await this.#target.connect());
    if (generation !== this.#generation) {
      connection.destroy();
      throw meshError("request_timeout", "health_check");
    }
    this.#connection = connection;
    const exchange = this.#createExchange();
    this.#exchange = exchange;
    let response: Response;
    try {
      response = await connection.send(exchange);
    } catch (thrown) {
      // The server closed a connection that had been idle; that says nothing about its health.
      const isIdleClose = kept !== undefined && toMeshError(thrown).code === "reset_before_request";
      if (isIdleClose && generation === this.#generation) return this.#statusOf(undefined);
      throw thrown;
    }
    await drain(response.body);
    exchange.finish(this.#target.clock.monotonic());
    this.#exchange = undefined;
    if (!this.#target.reusesConnection) {
      connection.close();
      this.#connection = undefined;
    }
    return response.status;
  }

  #judge(status: number): ProbeResult {
    if (includes(this.#probe.expectedStatuses, status)) return { isWell: true };
    const atOnce = !includes(this.#probe.retriableStatuses, status);
    return { isWell: false, why: `status ${status}`, atOnce };
  }

  #createExchange(): Exchange {
    const { scheme, host, clock } = this.#target;
    const headers = new HeaderList();
    headers.add("user-agent", userAgent);
    for (const [name, value] of this.#probe.headers) headers.set(name, value);
    return new Exchange({
      downstream: { remote: nobody, local: nobody, listener: "health-check", scheme },
      protocol: "HTTP/1.1",
      startedAt: clock.monotonic(),
      method: this.#probe.method,
      scheme,
      authority: this.#probe.host ?? host,
      path: this.#probe.path,
      headers,
      body: Body.empty(),
      upgrade: undefined,
      expectsContinue: false,
    });
  }
}

/** Reads an answer to its end, so that the connection can be used again; a long one costs the connection. */
function drain(body: Body): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    body.pipe({
      data(chunk) {
        bytes += chunk.length;
        if (bytes <= maxAnswerBytes) return true;
        body.cancel();
        resolve();
        return false;
      },
      end: () => resolve(),
      fail: () => resolve(),
    });
  });
}

function includes(ranges: readonly StatusRange[], status: number): boolean {
  return ranges.some(({ start, end }) => start <= status && status < end);
}

/** For the access log of whoever is asked. */
const userAgent = "Weft/HC";
const nobody = { host: "0.0.0.0", port: 0 };
const maxAnswerBytes = 64 * 1024;
