import type { Clock } from "../../common/base/clock.ts";
import type { LastGoodFallback } from "../../common/model/circuit-breaker.ts";
import { Body } from "../http/body.ts";
import { teeBody } from "../http/body-tee.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { HeaderList } from "../http/header-list.ts";

interface Kept {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** Monotonic ms. */
  readonly storedAt: number;
  /** Seconds that it was old when it came (RFC 9111 section 5.1). */
  readonly ageBefore: number;
}

/**
 * The last good answers of a destination, for the time when it gives none. What a shared cache must not keep or hand to another
 * user (RFC 9111 section 3) is not kept: `no-store`, `private`, Set-Cookie, and what varies by headers that are not compared.
 */
export class LastGoodResponses {
  readonly #policy: LastGoodFallback;
  readonly #clock: Clock;
  readonly #vary: readonly string[];
  /** Least recently stored first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(policy: LastGoodFallback, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
    this.#vary = [...new Set([...alwaysCompared, ...policy.vary])];
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What makes requests equal; undefined when their answers are never kept. Taken before the request is sent on. */
  keyOf(exchange: Exchange): string | undefined {
    const { method, authority, path, upgrade, headers } = exchange;
    if ((method !== "GET" && method !== "HEAD") || upgrade !== undefined || headers.has("range"))
      return undefined;
    const values = this.#vary.map((name) => headers.joined(name) ?? null);
    return JSON.stringify([method, authority.toLowerCase(), path, ...values]);
  }

  /** The same answer, kept as it passes by when it may be. */
  keep(key: string, response: Response): Response {
    if (!this.#mayKeep(response)) return response;
    const { status, reason, headers } = response;
    const { primary, copy } = teeBody(response.body, this.#policy.maxBytes, () => {});
    const kept = headers.clone();
    const chunks: Buffer[] = [];
    let bytes = 0;
    copy.pipe({
      data: (chunk) => {
        bytes += chunk.length;
        if (bytes > this.#policy.maxBytes) {
          chunks.length = 0;
          copy.cancel();
        } else chunks.push(chunk);
        return true;
      },
      end: (trailers) => {
        // An answer that says more in its trailers would not be whole without them.
        if (trailers === undefined) this.#store(key, status, kept, Buffer.concat(chunks));
      },
      fail: () => {},
    });
    return { status, reason, headers, body: primary };
  }

  /** The last good answer with its age, when there is one that is young enough. */
  find(key: string): Response | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const forMs = this.#clock.monotonic() - kept.storedAt;
    if (forMs > this.#policy.maxAgeMs) {
      this.#drop(key, kept);
      return undefined;
    }
    const headers = kept.headers.clone();
    headers.set("age", String(kept.ageBefore + Math.floor(forMs / 1000)));
    return { status: kept.status, reason: "", headers, body: Body.of(kept.body) };
  }

  #mayKeep({ status, headers, body }: Response): boolean {
    if (status < 200 || status >= 300 || status === 206 || headers.has("set-cookie")) return false;
    if (body.length !== undefined && body.length > this.#policy.maxBytes) return false;
    const control = headers.joined("cache-control")?.toLowerCase() ?? "";
    if (/\b(?:no-store|private)\b/.test(control)) return false;
    const varies = (headers.joined("vary") ?? "").split(",").map((name) => name.trim().toLowerCase());
    return varies.every((name) => name === "" || this.#vary.includes(name));
  }

  #store(key: string, status: number, headers: HeaderList, body: Buffer): void {
    const before = this.#kept.get(key);
    if (before !== undefined) this.#drop(key, before);
    const ageBefore = Math.max(0, Number.parseInt(headers.get("age") ?? "0", 10) || 0);
    this.#kept.set(key, { status, headers, body, storedAt: this.#clock.monotonic(), ageBefore });
    this.#bytes += body.length + overheadBytes;
    for (const [oldest, kept] of this.#kept) {
      if (this.#bytes <= this.#policy.maxBytes || oldest === key) break;
      this.#drop(oldest, kept);
    }
  }

  #drop(key: string, { body }: Kept): void {
    this.#kept.delete(key);
    this.#bytes -= body.length + overheadBytes;
  }
}

/** Who asks and in which form the answer is wanted: equal requests agree in these. */
const alwaysCompared = ["authorization", "cookie", "accept", "accept-encoding", "accept-language"];

/** What an entry costs besides its body, about: so that empty answers are bounded too. */
const overheadBytes = 512;
