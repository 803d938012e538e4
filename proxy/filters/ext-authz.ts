import type { Clock } from "../../common/base/clock.ts";
import type { ExternalAuthorization } from "../../common/model/external-authorization.ts";
import { formatSource } from "../../common/model/source.ts";
import { CompiledPolicy } from "../../common/routing/access-decision.ts";
import type { MeshError } from "../errors.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import { BodyReplay } from "../http/body-replay.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { isGrpc } from "../http/grpc-status.ts";
import { HeaderList } from "../http/header-list.ts";
import type { Layer, Service } from "../http/layer.ts";
import { localReply } from "../http/reply.ts";
import type { AccessCounts } from "./access-counts.ts";
import type { AskGrpcParts } from "./ask-grpc.ts";
import { askGrpc } from "./ask-grpc.ts";
import { askHttp } from "./ask-http.ts";
import type { AskExternal, ExternalAnswer, ExternalHeader, ShownBody } from "./external-answer.ts";
import { RequestSubject } from "./request-subject.ts";

/** How services are reached. */
export interface ExternalParts extends AskGrpcParts {
  readonly counts: AccessCounts;
  readonly clock: Clock;
  /** Sends to a cluster, as routes do. */
  upstream(cluster: string): Service;
}

/**
 * Shows requests that a policy names to somebody who decides about them (Istio's CUSTOM, Envoy's ext_authz). Whoever does not answer has
 * not agreed, unless the provider fails open. Throws RegexError.
 */
export function askSomebody(external: ExternalAuthorization, parts: ExternalParts): Layer {
  const policies = external.policies.map((policy) => new CompiledPolicy(policy, false));
  const { service, body } = external;
  const ask: AskExternal<Exchange> =
    service.kind === "http"
      ? askHttp(external, service, parts.upstream(service.cluster), parts.clock)
      : askGrpc(service, body?.asBytes === true, parts);
  return (next) => (exchange) => {
    const subject = new RequestSubject(exchange);
    const asking = policies.find((policy) => policy.matches(subject));
    if (asking === undefined) return next(exchange);
    parts.counts.add("asked", asking.policy.name);
    const { name, source } = asking.policy;
    const place = source === undefined ? name : formatSource(source);
    return decide(exchange, external, ask, place, next);
  };
}

async function decide(
  exchange: Exchange,
  external: ExternalAuthorization,
  ask: AskExternal<Exchange>,
  place: string,
  next: Service,
): Promise<Response> {
  const shown =
    external.body && exchange.upgrade === undefined ? await showBody(exchange, external.body) : undefined;
  let answer: ExternalAnswer;
  try {
    answer = await ask(exchange, shown);
  } catch (cause) {
    if (exchange.cancelCause !== undefined) throw exchange.cancelCause;
    if (external.failsOpen) return next(exchange);
    exchange.denial = `${external.provider} did not answer (${(cause as Error).message}); asked because of ${place}`;
    return refused(exchange, external.statusOnError, [], Buffer.alloc(0), "ext_authz_error");
  }
  // Whoever went away meanwhile is sent nothing, here or upstream (CVE-2026-47205).
  if (exchange.cancelCause !== undefined) throw exchange.cancelCause;
  if (!answer.isAllowed) {
    exchange.denial = `denied by ${external.provider}; asked because of ${place}`;
    return refused(exchange, answer.status, answer.responseHeaders, answer.body, "ext_authz_denied");
  }
  for (const name of answer.removedHeaders) {
    const lower = name.toLowerCase();
    if (!lower.startsWith(":") && lower !== "host") exchange.headers.remove(lower);
  }
  apply(exchange.headers, answer.requestHeaders);
  const response = await next(exchange);
  apply(response.headers, answer.responseHeaders);
  return response;
}

/** Fields that a service names; those that frame or address the message are not its to say. */
function apply(headers: HeaderList, fields: readonly ExternalHeader[]): void {
  for (const { name, value, appends } of fields) {
    const lower = name.toLowerCase();
    if (lower.startsWith(":") || protectedFields.has(lower)) continue;
    if (appends) headers.add(name, value);
    else headers.set(name, value);
  }
}

const protectedFields = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "upgrade",
  "te",
]);

function refused(
  exchange: Exchange,
  status: number,
  headers: readonly ExternalHeader[],
  body: Buffer,
  detail: string,
): Response {
  exchange.body.cancel();
  const response = localReply(exchange, meshError("external_denied", detail));
  if (isGrpc(exchange)) return response;
  const isStatus = Number.isInteger(status) && status >= 200 && status <= 599;
  if (body.length > 0) response.headers.set("content-length", String(body.length));
  const own = { ...response, status: isStatus ? status : 403 };
  apply(
    own.headers,
    headers.map((field) => ({
      ...field,
      appends: field.name.toLowerCase() !== "content-type" && field.appends,
    })),
  );
  return body.length > 0 ? { ...own, body: Body.of(body) } : own;
}

/** Reads as much of the body as may be shown, and puts one in its place that begins with it. Throws `payload_too_large`. */
async function showBody(
  exchange: Exchange,
  { maxBytes, allowsPartial }: NonNullable<ExternalAuthorization["body"]>,
): Promise<ShownBody | undefined> {
  const source = exchange.body;
  if (source.length === 0) return undefined;
  if (exchange.expectsContinue) {
    // Nobody upstream will be asked before the body was seen.
    exchange.inform(100, new HeaderList());
    exchange.headers.remove("expect");
  }
  if (source.length !== undefined && source.length > maxBytes && !allowsPartial)
    throw meshError("payload_too_large", "request_payload_too_large");
  // All that one look at the body can hold beyond the limit is what a read brings.
  const replay = new BodyReplay(source, Number.POSITIVE_INFINITY);
  const look = replay.next();
  const chunks: Buffer[] = [];
  let length = 0;
  await new Promise<void>((resolve, reject) => {
    exchange.whenCancelled((cause: MeshError) => reject(cause));
    look.pipe({
      data(chunk) {
        chunks.push(chunk);
        length += chunk.length;
        if (length <= maxBytes) return true;
        resolve();
        return false;
      },
      end: () => resolve(),
      fail: reject,
    });
  });
  exchange.whenCancelled(undefined);
  if (length > maxBytes && !allowsPartial) throw meshError("payload_too_large", "request_payload_too_large");
  exchange.body = replay.next();
  replay.release();
  return { bytes: Buffer.concat(chunks).subarray(0, maxBytes), isPartial: length > maxBytes };
}
