import type { TextMatch } from "../../../common/model/authorization.ts";
import type { ExternalService } from "../../../common/model/external-authorization.ts";
import { durationMs } from "../fields/duration.ts";
import { resolveHost } from "../fields/host.ts";
import type { ExtensionProvider } from "./compiled.ts";
import type { ExtensionProviderInput } from "./schema.ts";

/** Istio's. */
const defaultTimeoutMs = 600_000;

/** `rootNamespace`: of services that are named without one. */
export function compileProvider(input: ExtensionProviderInput, rootNamespace: string): ExtensionProvider {
  const { name, envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = input;
  const asked = http ?? grpc!;
  const slash = asked.service.indexOf("/");
  const host = resolveHost(
    asked.service.slice(slash + 1),
    slash > 0 ? asked.service.slice(0, slash) : rootNamespace,
  );
  const base = {
    cluster: `outbound|${asked.port}||${host}`,
    authority: host,
    timeoutMs: durationMs(asked.timeout) ?? defaultTimeoutMs,
  };
  const service: ExternalService = http
    ? {
        kind: "http",
        ...base,
        pathPrefix: http.pathPrefix ?? "",
        addedHeaders: Object.entries(http.includeAdditionalHeadersInCheck ?? {}).sort(),
        headersToUpstream: headerTexts(http.headersToUpstreamOnAllow),
        headersToDownstreamOnDeny: headerTexts(http.headersToDownstreamOnDeny),
        headersToDownstreamOnAllow: headerTexts(http.headersToDownstreamOnAllow),
      }
    : { kind: "grpc", ...base };
  const body = asked.includeRequestBodyInCheck;
  return {
    provider: name,
    host,
    port: asked.port,
    service,
    requestHeaders: headerTexts(http?.includeRequestHeadersInCheck ?? http?.includeHeadersInCheck),
    ...(body && {
      body: {
        maxBytes: body.maxRequestBytes,
        allowsPartial: body.allowPartialMessage === true,
        asBytes: body.packAsBytes === true,
      },
    }),
    failsOpen: asked.failOpen === true,
    statusOnError: Number(asked.statusOnError ?? 403),
    clearsRoute: asked.clearRouteCache === true,
  };
}

function headerTexts(names: readonly string[] | undefined): TextMatch[] {
  return (names ?? []).map((name): TextMatch => {
    const value = name.replace(/^\*|\*$/g, "").toLowerCase();
    const kind = name.startsWith("*") ? "suffix" : name.endsWith("*") ? "prefix" : "exact";
    return { kind, value, ignoreCase: true };
  });
}
