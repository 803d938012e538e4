import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../common/base/clock.ts";
import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import { Circuit } from "./circuit.ts";

/** All circuits of a proxy: one per CircuitBreaker and cluster, whichever routes lead there. Outlives changes of routes. */
export class CircuitSet {
  readonly #clock: Clock;
  readonly #circuits = new Map<string, Circuit>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  [Symbol.iterator](): Iterator<Circuit> {
    return this.#circuits.values();
  }

  /** The circuit with this policy. Another policy under the name makes a new, closed one. */
  obtain(policy: CircuitBreakerPolicy, cluster: string): Circuit {
    const key = circuitKey(policy.name, cluster);
    const known = this.#circuits.get(key);
    if (known !== undefined && isDeepStrictEqual(known.policy, policy)) return known;
    known?.stop();
    const circuit = new Circuit(policy, cluster, this.#clock);
    this.#circuits.set(key, circuit);
    return circuit;
  }

  /** Drops those that no route has any more. To be called now and then. */
  forgetUnless(isNamed: (policy: string, cluster: string) => boolean): void {
    for (const [key, circuit] of this.#circuits) {
      if (isNamed(circuit.policy.name, circuit.cluster)) continue;
      circuit.stop();
      this.#circuits.delete(key);
    }
  }

  stop(): void {
    for (const circuit of this.#circuits.values()) circuit.stop();
  }
}

function circuitKey(policy: string, cluster: string): string {
  return `${policy} ${cluster}`;
}
