/**
 * A path template of Istio's (Envoy's uri_template): `{*}` is one segment that is not empty, `{**}` any number of them, also none.
 * Made of segments, so it takes time linear in the path but for one step back at each `{**}`, of which a template has one.
 */
export class PathTemplate {
  readonly #before: readonly string[];
  readonly #after: readonly string[];
  readonly #hasRest: boolean;
  readonly #text: string;

  /** Takes what `pathTemplateProblem` has nothing against. */
  constructor(text: string) {
    const segments = text.split("/");
    const rest = segments.indexOf("{**}");
    this.#text = text;
    this.#hasRest = rest !== -1;
    this.#before = rest === -1 ? segments : segments.slice(0, rest);
    this.#after = rest === -1 ? [] : segments.slice(rest + 1);
  }

  test(path: string): boolean {
    const segments = path.split("/");
    const fixed = this.#before.length + this.#after.length;
    if (this.#hasRest ? segments.length < fixed : segments.length !== fixed) return false;
    // "/a/{**}" asks for the slash behind "/a", as in Envoy.
    if (this.#hasRest && segments.length === fixed) return false;
    const end = segments.length - this.#after.length;
    return (
      this.#before.every((wanted, index) => matches(wanted, segments[index]!)) &&
      this.#after.every((wanted, index) => matches(wanted, segments[end + index]!))
    );
  }

  toString(): string {
    return this.#text;
  }
}

/** Whether a text of a policy's paths is a template rather than a pattern with "*". */
export function isPathTemplate(text: string): boolean {
  return text.includes("{*}") || text.includes("{**}");
}

/** Why a text is no template, or undefined. */
export function pathTemplateProblem(text: string): string | undefined {
  if (!text.startsWith("/")) return "a path template begins with /";
  const segments = text.split("/");
  const rests = segments.filter((segment) => segment === "{**}").length;
  if (rests > 1) return "{**} stands once";
  if (segments.slice(segments.indexOf("{**}") + 1).includes("{*}") && rests === 1)
    return "{*} does not stand behind {**}";
  const odd = segments.find((segment) => segment !== "{*}" && segment !== "{**}" && /[{}*]/.test(segment));
  return odd === undefined ? undefined : `${JSON.stringify(odd)} is neither a plain segment nor {*} or {**}`;
}

function matches(wanted: string, segment: string): boolean {
  return wanted === "{*}" ? segment !== "" : wanted === segment;
}
