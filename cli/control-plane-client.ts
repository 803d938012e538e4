import { readFileSync } from "node:fs";
import { request } from "undici";
import type { Problem } from "../common/base/problem.ts";
import type { AppliedView, ProxyView, ResourceView, SettledView } from "../common/model/mesh-status.ts";
import type { Source } from "../common/model/source.ts";
import { CliError, invalidInput, wrongUse } from "./cli-error.ts";
import type { ControlPlaneChoice } from "./control-plane-option.ts";
import type { ExplainAnswer } from "./format-explanation.ts";
import type { ResourceFile } from "./read-files.ts";

/** What `POST /resources` says. */
export interface ApplyAnswer {
  readonly resources: readonly AppliedView[];
  /** Warnings, and the errors that make resources wait. */
  readonly problems: readonly Problem[];
  readonly settled?: SettledView;
}

export interface DeleteAnswer {
  /** A resource of the same name in a config folder, which shows again. */
  readonly uncovered?: Source;
  readonly settled?: SettledView;
}

/** Calls the control plane's HTTP API for one verb. What the control plane refuses is thrown with all its problems, exit code 1. */
export class ControlPlaneClient {
  readonly #address: string;
  readonly #verb: string;
  readonly #tokenFile: string | undefined;

  /** `controlPlane` is `HOST:PORT`. */
  constructor({ controlPlane: address, tokenFile }: ControlPlaneChoice, verb: string) {
    if (!/^(\[[0-9a-fA-F:.]+\]|[^:\s/]+):\d{1,5}$/.test(address)) {
      throw wrongUse(`weft ${verb}: control plane ${JSON.stringify(address)} is not HOST:PORT`);
    }
    this.#address = address;
    this.#verb = verb;
    this.#tokenFile = tokenFile;
  }

  /** All files in one step. `waitMs` 0 does not wait for the proxies. */
  async apply(files: readonly ResourceFile[], waitMs: number): Promise<ApplyAnswer> {
    const path = waitMs > 0 ? `/resources?wait=${waitMs}` : "/resources";
    const type = "application/vnd.weft.files+json";
    return (await this.#call("POST", path, waitMs, JSON.stringify({ files }), type)) as ApplyAnswer;
  }

  async delete(kind: string, namespace: string, name: string, waitMs: number): Promise<DeleteAnswer> {
    const path = `/resources/${[kind, namespace, name].map(encodeURIComponent).join("/")}`;
    return (await this.#call("DELETE", waitMs > 0 ? `${path}?wait=${waitMs}` : path, waitMs)) as DeleteAnswer;
  }

  async resources(kind?: string): Promise<readonly ResourceView[]> {
    const answer = await this.#call("GET", kind === undefined ? "/resources" : `/resources/${kind}`);
    return (answer as { resources: readonly ResourceView[] }).resources;
  }

  async proxies(): Promise<readonly ProxyView[]> {
    return ((await this.#call("GET", "/proxies")) as { proxies: readonly ProxyView[] }).proxies;
  }

  /** Which rule takes a request; `question` is that of docs/reference/http-api.md. */
  async explain(question: object): Promise<ExplainAnswer> {
    return (await this.#call("POST", "/explain", 0, JSON.stringify(question))) as ExplainAnswer;
  }

  #authorization(): Readonly<Record<string, string>> {
    if (this.#tokenFile === undefined) return {};
    try {
      return { authorization: `Bearer ${readFileSync(this.#tokenFile, "utf8").trim()}` };
    } catch (cause) {
      const { code = "unknown" } = cause as NodeJS.ErrnoException;
      throw wrongUse(`weft ${this.#verb}: --token-file: ${this.#tokenFile} cannot be read: ${code}`);
    }
  }

  async #call(
    method: "GET" | "POST" | "DELETE",
    path: string,
    waitMs = 0,
    body?: string,
    type = "application/json",
  ): Promise<unknown> {
    const limitMs = waitMs + 30_000;
    const response = await request(`http://${this.#address}${path}`, {
      method,
      headersTimeout: limitMs,
      bodyTimeout: limitMs,
      headers: { ...this.#authorization(), ...(body === undefined ? {} : { "content-type": type }) },
      ...(body === undefined ? {} : { body }),
    }).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new CliError(
        1,
        `weft ${this.#verb}: no control plane answers at ${this.#address} (${why}); start one with weft up, or name another with --control-plane or WEFT_CONTROL_PLANE`,
      );
    });
    const text = await response.body.text();
    const answer = parse(text);
    if (response.statusCode < 300 && answer !== undefined) return answer;
    if (response.statusCode < 300)
      throw new CliError(1, `weft ${this.#verb}: what answers at ${this.#address} is no control plane`);
    const { problems } = (answer ?? {}) as { problems?: readonly Problem[] };
    if (problems !== undefined && problems.length > 0) throw invalidInput(problems);
    throw new CliError(
      1,
      `weft ${this.#verb}: ${this.#address} answers ${response.statusCode}: ${JSON.stringify(text.slice(0, 200))}; is it a control plane's HTTP API?`,
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
