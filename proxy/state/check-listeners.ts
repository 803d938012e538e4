import type { Problem } from "../../common/base/problem.ts";
import type { Listener } from "../../common/model/listener.ts";
import { checkAccess } from "../../common/routing/check-access.ts";
import { inOrderOfRight } from "./in-order-of-right.ts";

type Listeners = ReadonlyMap<string, { readonly value: Listener }>;

/** Judges arriving listeners among all that will be there with them. Whether a port is free only binding it can tell. */
export function checkListeners(all: Listeners, arriving: Listeners): ReadonlyMap<string, readonly Problem[]> {
  const problems = new Map<string, Problem[]>();
  const owners = new Map<string, string>();
  for (const name of inOrderOfRight(all, arriving)) {
    const listener = all.get(name)!.value;
    const found: Problem[] = [];
    const address = `${listener.address}:${listener.port}`;
    const owner = owners.get(address);
    // Port 0 is whichever is free.
    if (owner === undefined || listener.port === 0) owners.set(address, name);
    else {
      const why = `listener ${owner} has ${address} already`;
      found.push({ path: "address", why, hint: "give one of them another port" });
    }
    if (listener.filterChains.length === 0 && listener.dns === undefined) {
      found.push({ path: "filter_chains", why: "has no filter chain that could take a connection" });
    }
    for (const chain of arriving.has(name) ? listener.filterChains : []) {
      const access = chain.http ? chain.http.access : chain.access;
      if (access !== undefined) found.push(...checkAccess(access));
    }
    if (arriving.has(name)) problems.set(name, found);
  }
  return problems;
}
