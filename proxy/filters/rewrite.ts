import { compilePathRewrite } from "../../common/routing/rewrite-path.ts";
import type { Filter } from "./filter.ts";

/**
 * Changes path and authority before the request is forwarded (Istio's `rewrite`). The path as it came is kept in
 * `x-envoy-original-path`, whatever the client wrote there.
 */
export const rewrite: Filter = {
  name: "rewrite",
  build({ action, match }) {
    if (action.kind !== "forward" || action.rewrite === undefined) return undefined;
    const { authority } = action.rewrite;
    const rewritePath = compilePathRewrite(match.path, action.rewrite);
    if (rewritePath === undefined && authority === undefined) return undefined;
    return (next) => (exchange) => {
      if (authority !== undefined) exchange.authority = authority;
      if (rewritePath !== undefined) {
        exchange.originalPath ??= exchange.path;
        exchange.headers.set("x-envoy-original-path", exchange.path);
        exchange.path = rewritePath(exchange.path);
      }
      return next(exchange);
    };
  },
};
