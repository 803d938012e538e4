import type { Clock } from "../../common/base/clock.ts";
import type { TextMatch } from "../../common/model/authorization.ts";
import type {
  ExternalAuthorization,
  ExternalHttpService,
} from "../../common/model/external-authorization.ts";
import { TextTest } from "../../common/routing/text-test.ts";
import type { MeshError } from "../errors.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import { Exchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import type { Service } from "../http/layer.ts";
import type { AskExternal, ExternalAnswer, ExternalHeader, ShownBody } from "./external-answer.ts";
import { ExternalFailure } from "./external-answer.ts";

/** Bytes of a refusal's body that clients are told. */
const maxAnswerBytes = 64 * 1024;

/**
 * Asks by HTTP (Envoy's ext_authz HTTP service): the same method and path with a prefix, Host and Authorization, and the headers that are
 * to be shown. 200 allows, a server's error is no answer, everything else refuses with that status. Goes the mesh's own way, so balancing,
 * pools and mutual TLS are those of the service's cluster.
 */
export function askHttp(
  { requestHeaders }: ExternalAuthorization,
  service: ExternalHttpService,
  upstream: Service,
  clock: Clock,
): AskExternal<Exchange> {
  const shown = requestHeaders.map((match) => new TextTest(match));
  const toUpstream = testsOf(service.headersToUpstream);
  const onDeny = testsOf(service.headersToDownstreamOnDeny);
  const onAllow = testsOf(service.headersToDownstreamOnAllow);
  return async (asked, body) => {
    const question = questionAbout(asked, service, shown, body, clock);
    const stop = clock.after(service.timeoutMs, () =>
      question.cancel(meshError("request_timeout", "ext_authz_timeout")),
    );
    asked.whenCancelled((cause) => question.cancel(cause));
    try {
      const { status, headers, body: answer } = await upstream(question);
      const bytes = await read(question, answer);
      if (status >= 500) throw new ExternalFailure(`it answered ${status}`);
      const isAllowed = status === 200;
      return {
        isAllowed,
        status,
        body: bytes,
        removedHeaders: [],
        requestHeaders: isAllowed ? pick(headers, toUpstream, false) : [],
        responseHeaders: isAllowed ? pick(headers, onAllow, true) : pick(headers, onDeny, true, true),
      } satisfies ExternalAnswer;
    } catch (cause) {
      if (cause instanceof ExternalFailure) throw cause;
      throw new ExternalFailure(cause instanceof Error ? cause.message : String(cause), { cause });
    } finally {
      stop();
      asked.whenCancelled(undefined);
      question.finish(clock.monotonic());
    }
  };
}

function questionAbout(
  asked: Exchange,
  service: ExternalHttpService,
  shown: readonly TextTest[],
  body: ShownBody | undefined,
  clock: Clock,
): Exchange {
  const headers = new HeaderList();
  const { raw } = asked.headers;
  for (let i = 0; i < raw.length; i += 2) {
    const lower = raw[i]!.toLowerCase();
    if (lower === "content-length" || lower === "expect") continue;
    if (lower === "authorization" || shown.some((test) => test.test(lower)))
      headers.add(raw[i]!, raw[i + 1]!);
  }
  for (const [name, value] of service.addedHeaders) headers.set(name, value);
  if (body?.isPartial) headers.set("x-envoy-auth-partial-body", "true");
  headers.set("content-length", String(body?.bytes.length ?? 0));
  return new Exchange({
    downstream: asked.downstream,
    protocol: "HTTP/1.1",
    startedAt: clock.monotonic(),
    method: asked.method,
    scheme: asked.scheme,
    // The host is part of what is asked about (Envoy sends the request's own).
    authority: asked.authority,
    path: service.pathPrefix + asked.path,
    headers,
    body: body === undefined ? Body.empty() : Body.of(body.bytes),
    upgrade: undefined,
    expectsContinue: false,
  });
}

function testsOf(matches: readonly TextMatch[]): readonly TextTest[] {
  return matches.map((match) => new TextTest(match));
}

/** `allWhenNone`: without a list, all headers but those about the message itself. */
function pick(
  { raw }: HeaderList,
  tests: readonly TextTest[],
  appends: boolean,
  allWhenNone = false,
): ExternalHeader[] {
  const picked: ExternalHeader[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const lower = raw[i]!.toLowerCase();
    if (ofTheMessage.has(lower)) continue;
    const isWanted = tests.length === 0 ? allWhenNone : tests.some((test) => test.test(lower));
    if (isWanted) picked.push({ name: raw[i]!, value: raw[i + 1]!, appends });
  }
  return picked;
}

const ofTheMessage = new Set(["content-length", "transfer-encoding", "connection", "host", "date", "server"]);

function read(question: Exchange, body: Body): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const done = () => resolve(Buffer.concat(chunks).subarray(0, maxAnswerBytes));
    question.whenCancelled((cause: MeshError) => {
      body.cancel(cause);
      reject(cause);
    });
    body.pipe({
      data(chunk) {
        chunks.push(chunk);
        length += chunk.length;
        if (length <= maxAnswerBytes) return true;
        body.cancel();
        done();
        return false;
      },
      end: done,
      fail: reject,
    });
  });
}
