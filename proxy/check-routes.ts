import type { Problem } from "../common/base/problem.ts";
import type { VirtualHost } from "../common/model/route.ts";
import type { BuildTarget } from "../common/routing/route-table.ts";
import { CompiledVirtualHost } from "../common/routing/route-table.ts";

/** Tries to compile each route of a virtual host and says what stood in the way, such as a pattern that is not RE2. */
export function checkVirtualHost(virtualHost: VirtualHost, build: BuildTarget<unknown>): readonly Problem[] {
  return virtualHost.routes.flatMap((route, at) => {
    try {
      new CompiledVirtualHost({ ...virtualHost, routes: [route] }, build);
      return [];
    } catch (thrown) {
      return [{ path: `routes[${at}]`, why: (thrown as Error).message }];
    }
  });
}
