import type { EncodedResource } from "../../common/xds/encoded-resource.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { Delivery } from "./acks.ts";
import { mapChanges } from "./map-changes.ts";
import { Subscription } from "./subscriptions.ts";

/** What a client is still to be sent of one type. */
export interface Pending {
  readonly updates: readonly EncodedResource[];
  readonly removals: readonly string[];
  /** Names to be answered with "does not exist". */
  readonly absent: readonly string[];
  /** The client waits for an answer, even if there is nothing to say. */
  readonly owesAnswer: boolean;
}

export type WantedResources = ReadonlyMap<string, EncodedResource>;

interface Comparison {
  readonly wanted: WantedResources;
  readonly pending: Pending;
}

export const nothingPending: Pending = { updates: [], removals: [], absent: [], owesAnswer: false };

export function isNothing({ updates, removals, absent, owesAnswer }: Pending): boolean {
  return !owesAnswer && updates.length + removals.length + absent.length === 0;
}

/** One type on one stream: what the client asked for, what it has, and the difference to what it should have. */
export class TypeState {
  readonly subscription: Subscription;
  readonly delivery = new Delivery();
  /** Resources that the client has and is to be sent once more, because it asked by a name that it can't know to mean them. */
  readonly again = new Set<string>();
  readonly #meaningOf: (name: string) => string | undefined;
  #compared: Comparison | undefined;

  /** `meaningOf`: the resource that a subscribed name means; default: the one that is called so. */
  constructor(kind: ResourceKind, meaningOf: (name: string) => string | undefined = (name) => name) {
    this.subscription = new Subscription(kind);
    this.#meaningOf = meaningOf;
  }

  /** Remembered until `changed` or `began`, because an ACK changes nothing of it, unless some were refused. */
  pendingFor(wanted: WantedResources): Pending {
    if (!this.subscription.isStarted) return nothingPending;
    const compared = this.#compared;
    if (compared?.wanted === wanted) return compared.pending;
    for (const [name, version] of this.delivery.refused)
      if (wanted.get(name)?.version !== version) this.delivery.pardon(name);
    const isInStep = compared?.pending === nothingPending;
    const pending = isInStep ? this.#changesSince(compared.wanted, wanted) : this.#compare(wanted);
    this.#compared = { wanted, pending };
    return pending;
  }

  /** The subscription or what the client has was changed by the client. */
  changed(): void {
    this.#compared = undefined;
  }

  /** All that was pending for `wanted` is on its way, but for some removals. */
  began(wanted: WantedResources, deferred: readonly string[]): void {
    this.subscription.owed.clear();
    this.subscription.owesFirstAnswer = false;
    const pending = deferred.length === 0 ? nothingPending : { ...nothingPending, removals: deferred };
    this.#compared = { wanted, pending };
  }

  /** The client is in step with `before`, so only what changed since then can be pending. */
  #changesSince(before: WantedResources, wanted: WantedResources): Pending {
    const { changed, removed } = mapChanges(before, wanted);
    const { subscription } = this;
    const updates = changed.filter(
      (resource) => subscription.matches(resource.name) && this.#lacks(resource),
    );
    const removals = removed.filter((name) => this.delivery.sent.has(name));
    return updates.length + removals.length === 0 ? nothingPending : { ...nothingPending, updates, removals };
  }

  #compare(wanted: WantedResources): Pending {
    const { subscription } = this;
    const { sent } = this.delivery;
    const updates = [...candidates(subscription, wanted)].filter((resource) => this.#lacks(resource));
    const removals = [...sent.keys()].filter((name) => !wanted.has(name));
    // What the client has and asks for goes as a removal, in its turn; "does not exist" is for what it never had.
    const isAbsent = (name: string) => {
      if (subscription.isNamespace(name)) return false;
      const meant = this.#meaningOf(name);
      if (meant === undefined) return true;
      const resource = wanted.get(meant);
      // What it refused, without having a version that it accepted, is not there for it.
      const isKeptOut = resource === undefined || this.delivery.keepsOut(resource);
      return isKeptOut && !sent.has(meant);
    };
    const absent = [...subscription.owed].filter(isAbsent);
    const owesAnswer = subscription.owesFirstAnswer || subscription.owed.size > 0;
    const pending = { updates, removals, absent, owesAnswer };
    return isNothing(pending) ? nothingPending : pending;
  }

  #lacks(resource: EncodedResource): boolean {
    if (this.delivery.keepsOut(resource)) return false;
    const { name, version } = resource;
    return this.again.has(name) || this.delivery.sent.get(name)?.version !== version;
  }
}

/** The wanted resources that a subscription takes; few names are looked up, many resources are gone through. */
function* candidates(subscription: Subscription, wanted: WantedResources): Iterable<EncodedResource> {
  if (subscription.isWildcard) yield* wanted.values();
  else if (subscription.kind === "virtual-host") {
    for (const resource of wanted.values()) if (subscription.matches(resource.name)) yield resource;
  } else {
    for (const name of subscription.names) {
      const resource = wanted.get(name);
      if (resource) yield resource;
    }
  }
}
