import type { PathNormalization } from "../../common/model/request-entry.ts";
import { compilePathNormalization } from "../../common/routing/normalize-path.ts";
import { meshError } from "../errors.ts";
import type { Layer } from "../http/layer.ts";
import { localResponse } from "./local-response.ts";

/**
 * Brings the path to the one form that everything after it sees: policies, routes and the application. Paths in that form already
 * cost one look; without a mode there is no layer.
 */
export function normalizePath(normalization: PathNormalization | undefined): Layer {
  const normalize = normalization && compilePathNormalization(normalization);
  if (normalize === undefined) return (next) => next;
  return (next) => (exchange) => {
    const path = normalize(exchange.path);
    if (typeof path === "string") {
      exchange.path = path;
      return next(exchange);
    }
    if (path.kind === "reject")
      return Promise.reject(meshError("bad_request", `path_normalization_failed.${path.why}`));
    // Absolute, because a path that begins with "//" alone would name another host.
    const location = ["location", `${exchange.scheme}://${exchange.authority}${path.path}`];
    return Promise.resolve(localResponse(exchange, "path_normalized_redirect", 307, location));
  };
}
