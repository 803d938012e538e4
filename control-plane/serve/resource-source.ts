import type { ProxyNode } from "../../common/model/node.ts";
import type { ResourceSet } from "../../common/xds/encoded-resource.ts";

/**
 * Where the resources of a proxy come from. Called once per proxy and push, when the proxy is ready to take them, so several
 * changes in between cost one call. Equal inputs should give the identical inner maps: a type whose map is the same object as
 * before is not compared again.
 */
export interface ResourceSource {
  resourcesFor(node: ProxyNode): ResourceSet;
}
