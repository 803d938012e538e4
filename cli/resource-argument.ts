import { closestName } from "../common/base/closest.ts";
import type { Kind } from "../control-plane/resources/resource.ts";
import { kinds } from "../control-plane/resources/resource.ts";
import { wrongUse } from "./cli-error.ts";

/** A resource as it is named on the command line. */
export interface ResourceArgument {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

const shortNames: Readonly<Record<string, Kind>> = {
  gw: "Gateway",
  vs: "VirtualService",
  dr: "DestinationRule",
  se: "ServiceEntry",
  we: "WorkloadEntry",
  cb: "CircuitBreaker",
  rl: "RateLimit",
  flt: "Fault",
  hc: "HealthCheck",
};

/** `VirtualService`, in any case and number, or `vs`. Throws wrong use with the closest kind. */
export function kindFromArgument(verb: string, text: string): Kind {
  const wanted = text.toLowerCase();
  const short = Object.hasOwn(shortNames, wanted) ? shortNames[wanted] : undefined;
  const kind =
    short ?? kinds.find((known) => [known.toLowerCase(), plural(known.toLowerCase())].includes(wanted));
  if (kind !== undefined) return kind;
  const meant = closestName(text, kinds);
  const hint = meant === undefined ? `known are ${kinds.join(", ")}` : `did you mean ${meant}?`;
  throw wrongUse(`weft ${verb}: ${text} is not a known kind; ${hint}`);
}

/** `KIND/NAME` or `KIND/NAMESPACE/NAME`. Throws wrong use. */
export function resourceFromArgument(verb: string, text: string, namespace: string): ResourceArgument {
  const parts = text.split("/");
  const [kind = "", second = "", third] = parts;
  if (parts.length < 2 || parts.length > 3 || parts.includes("")) {
    throw wrongUse(`weft ${verb}: ${JSON.stringify(text)} is not KIND/NAME or KIND/NAMESPACE/NAME`);
  }
  return {
    kind: kindFromArgument(verb, kind),
    ...(third === undefined ? { namespace, name: second } : { namespace: second, name: third }),
  };
}

function plural(kind: string): string {
  return kind.endsWith("y") ? `${kind.slice(0, -1)}ies` : `${kind}s`;
}
