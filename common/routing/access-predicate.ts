import type { AccessTest, TextMatch } from "../model/authorization.ts";
import type { AccessSubject } from "./access-subject.ts";
import { Cidr } from "./cidr.ts";
import { claimValues } from "./claims.ts";
import { canonicalAuthority } from "./host.ts";
import { PathTemplate } from "./path-template.ts";
import { RegexError } from "./regex.ts";
import type { RequestView } from "./request-view.ts";
import { pathEnd } from "./request-view.ts";
import { TextTest } from "./text-test.ts";

/** A question made ready: decides, and says in the same terms why it does not hold. */
export interface AccessPredicate {
  test(subject: AccessSubject): boolean;
  /** Undefined when it holds. */
  failure(subject: AccessSubject): string | undefined;
}

/**
 * Makes a question ready. `isStrict`: a yes lets somebody in. Then a field that was sent twice holds only as a whole; where a yes keeps
 * somebody out, or below a "not" the other way round, each of its values is tried (CVE-2026-26308). Throws RegexError.
 */
export function compileAccessTest(test: AccessTest, isStrict: boolean): AccessPredicate {
  switch (test.kind) {
    case "any":
      return { test: () => true, failure: () => undefined };
    case "and":
      return all(test.tests.map((inner) => compileAccessTest(inner, isStrict)));
    case "or":
      return some(test.tests.map((inner) => compileAccessTest(inner, isStrict)));
    case "not":
      return inverse(test.test, compileAccessTest(test.test, !isStrict));
    case "header":
      return header(test.name, test.match, isStrict);
    case "path":
      return onText("path", pathOf, new TextTest(test.match));
    case "path-template":
      return onText("path", pathOf, new PathTemplate(test.template));
    case "destination-port": {
      const { port } = test;
      return plain(
        (subject) => subject.destinationPort === port,
        (subject) => `destination port is ${subject.destinationPort}, wanted ${port}`,
      );
    }
    case "destination-ip":
      return onAddress("destination IP", (subject) => subject.destinationIp, test.cidr);
    case "source-ip":
      return onAddress("source IP", (subject) => subject.sourceIp, test.cidr);
    case "remote-ip":
      return onAddress("remote IP", (subject) => subject.remoteIp, test.cidr);
    case "server-name":
      return onText("server name", (subject) => subject.serverName, new TextTest(test.match));
    case "principal":
      return onText("principal", (subject) => subject.peer?.spiffeId, new TextTest(test.match));
    case "source-namespace":
      return onText("source namespace", (subject) => subject.peer?.namespace, new TextTest(test.match));
    case "service-account": {
      const wanted = `${test.namespace}/${test.name}`;
      const read = ({ peer }: AccessSubject) => peer && `${peer.namespace}/${peer.serviceAccount}`;
      return onText("service account", read, new TextTest({ kind: "exact", value: wanted }));
    }
    case "claim":
      return claim(
        test.path,
        test.matches.map((match) => new TextTest(match)),
      );
  }
}

function plain(
  test: (subject: AccessSubject) => boolean,
  why: (subject: AccessSubject) => string,
): AccessPredicate {
  return { test, failure: (subject) => (test(subject) ? undefined : why(subject)) };
}

function all(inner: readonly AccessPredicate[]): AccessPredicate {
  const [only] = inner;
  if (inner.length === 1) return only!;
  return {
    test: (subject) => {
      for (const predicate of inner) if (!predicate.test(subject)) return false;
      return true;
    },
    failure: (subject) => inner.find((predicate) => !predicate.test(subject))?.failure(subject),
  };
}

function some(inner: readonly AccessPredicate[]): AccessPredicate {
  const [only] = inner;
  if (inner.length === 1) return only!;
  const test = (subject: AccessSubject): boolean => {
    for (const predicate of inner) if (predicate.test(subject)) return true;
    return false;
  };
  return plain(test, (subject) => {
    const whys = inner.slice(0, 3).map((predicate) => predicate.failure(subject) ?? "");
    return `${whys.join("; ")}${inner.length > 3 ? `; and ${inner.length - 3} more` : ""}`;
  });
}

function inverse(test: AccessTest, inner: AccessPredicate): AccessPredicate {
  return plain(
    (subject) => !inner.test(subject),
    () => `it has what it must not have: ${wordsOf(test)}`,
  );
}

/** A question in words, for those that hold and should not. */
function wordsOf(test: AccessTest): string {
  switch (test.kind) {
    case "and":
    case "or":
      return test.tests.map(wordsOf).join(test.kind === "and" ? " and " : " or ");
    case "not":
      return `not ${wordsOf(test.test)}`;
    case "header":
      return `${subjectOf(test.name)} ${new TextTest(test.match)}`;
    case "path":
    case "server-name":
    case "principal":
    case "source-namespace":
      return `${test.kind.replaceAll("-", " ")} ${new TextTest(test.match)}`;
    case "path-template":
      return `path ${test.template}`;
    case "destination-port":
      return `destination port ${test.port}`;
    case "destination-ip":
    case "source-ip":
    case "remote-ip":
      return `${test.kind.replace("-ip", " IP")} ${test.cidr}`;
    case "service-account":
      return `service account ${test.namespace}/${test.name}`;
    case "claim":
      return `claim ${test.path.join(".")} ${test.matches.map((match) => new TextTest(match)).join(" or ")}`;
    case "any":
      return "anything";
  }
}

interface Matching {
  test(value: string): boolean;
  toString(): string;
}

function onText(
  noun: string,
  read: (subject: AccessSubject) => string | undefined,
  wanted: Matching,
): AccessPredicate {
  return plain(
    (subject) => {
      const value = read(subject);
      return value !== undefined && wanted.test(value);
    },
    (subject) => {
      const value = read(subject);
      return `${noun} ${value === undefined ? "is unknown" : `is ${JSON.stringify(value)}`}, wanted ${wanted}`;
    },
  );
}

function onAddress(noun: string, read: (subject: AccessSubject) => string, text: string): AccessPredicate {
  const cidr = Cidr.parse(text);
  if (cidr === undefined) throw new RegexError(`${JSON.stringify(text)} is not an address or CIDR`);
  return plain(
    (subject) => cidr.contains(read(subject)),
    (subject) => `${noun} is ${read(subject)}, wanted ${text}`,
  );
}

function pathOf({ path, request }: AccessSubject): string | undefined {
  return path ?? request?.path.slice(0, pathEnd(request.path));
}

function authorityOf({ authority, request }: AccessSubject): string | undefined {
  return authority ?? (request && canonicalAuthority(request.authority));
}

function header(name: string, match: TextMatch, isStrict: boolean): AccessPredicate {
  if (name === ":authority" || name === "host") return onText("host", authorityOf, hostTest(match));
  const wanted = match.kind === "present" ? anyField : new TextTest(match);
  const read = ({ request }: AccessSubject) => request && fieldOf(request, name);
  const isList = !name.startsWith(":");
  const whole = onText(subjectOf(name), read, wanted);
  if (isStrict || !isList) return whole;
  return {
    test: (subject) => {
      const value = read(subject);
      if (value === undefined) return false;
      if (wanted.test(value)) return true;
      return value.includes(",") && value.split(",").some((part) => wanted.test(part.trim()));
    },
    failure: whole.failure,
  };
}

/** Authorities come in lower case, so what ignores case only has to be so, too. */
function hostTest(match: TextMatch): Matching {
  if (match.kind === "present") return anyField;
  if (match.kind === "regex" || match.ignoreCase !== true) return new TextTest(match);
  return new TextTest({ kind: match.kind, value: match.value.toLowerCase() });
}

/** A field counts as present also when it is empty (Envoy's present_match). */
const anyField: Matching = { test: () => true, toString: () => "any value" };

function fieldOf(request: RequestView, name: string): string | undefined {
  if (name === ":method") return request.method;
  if (name === ":path") return request.path;
  if (name === ":scheme") return request.scheme;
  return request.header(name);
}

function subjectOf(name: string): string {
  if (name === ":authority") return "host";
  return name.startsWith(":") ? name.slice(1) : `header ${name}`;
}

function claim(path: readonly string[], wanted: readonly TextTest[]): AccessPredicate {
  const noun = `claim ${path.join(".")}`;
  return plain(
    ({ claims }) =>
      claims !== undefined &&
      claimValues(claims, path).some((value) => wanted.some((test) => test.test(value))),
    ({ claims }) => {
      if (claims === undefined) return `${noun} is unknown, the request has no token`;
      const values = claimValues(claims, path);
      const is =
        values.length === 0 ? "is absent" : `is ${values.map((value) => JSON.stringify(value)).join(", ")}`;
      return `${noun} ${is}, wanted ${wanted.join(" or ")}`;
    },
  );
}
