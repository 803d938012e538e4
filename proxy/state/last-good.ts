import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { Problem } from "../../common/base/problem.ts";
import type { ResourceType } from "../xds/resource-update.ts";
import type { Received } from "./proxy-config.ts";

/** A resource as it lies on disk. */
export interface StoredResource {
  readonly type: ResourceType;
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

export interface LastGoodParts {
  /** Made when it is missing. */
  readonly directory: string;
  /** The proxy's xDS node id: what was written for another proxy is not read. */
  readonly node: string;
  readonly clock: Clock;
  /** A copy could not be written; traffic is not affected. */
  readonly onProblem: (problem: Problem) => void;
}

/**
 * The accepted resources in one file, so that a proxy that restarts while no control plane answers serves as before. Written through a
 * temporary file and a rename: a reader finds the old copy or the new one, never half of either.
 */
export class LastGood {
  readonly #parts: LastGoodParts;
  #latest: Received | undefined = undefined;
  #cancelTimer: CancelTimer | undefined = undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(parts: LastGoodParts) {
    this.#parts = parts;
  }

  get file(): string {
    return join(this.#parts.directory, "last-good.json");
  }

  /** Reads the copy. A missing file is an empty copy; one that is damaged or another proxy's is reported and ignored. */
  async load(): Promise<{
    readonly resources: readonly StoredResource[];
    readonly problems: readonly Problem[];
  }> {
    const text = await readFile(this.file, "utf8").catch((cause: NodeJS.ErrnoException) => cause);
    if (typeof text !== "string") {
      return text.code === "ENOENT"
        ? { resources: [], problems: [] }
        : this.#unread(`can't be read: ${text.message}`);
    }
    const end = text.indexOf("\n");
    const head = parse<Head>(text.slice(0, end));
    const body = text.slice(end + 1);
    if (head?.format !== format) return this.#unread("is not a last-good file of this version");
    if (head.sha256 !== digest(body)) return this.#unread("is damaged: its checksum does not match");
    if (head.node !== this.#parts.node) return this.#unread(`belongs to another proxy: ${head.node}`);
    const lines = parse<readonly Line[]>(body);
    if (lines === undefined) return this.#unread("is damaged: its body is not JSON");
    const resources = lines.map(([type, name, version, bytes]) => {
      return { type, name, version, bytes: new Uint8Array(Buffer.from(bytes, "base64")) };
    });
    return { resources, problems: [] };
  }

  /** Notes what is good now; written a moment later, so a burst of messages is one write. */
  save(received: Received): void {
    this.#latest = received;
    this.#cancelTimer ??= this.#parts.clock.after(debounceMs, () => void this.flush());
  }

  /** Writes now what is not written yet; settles when it is on disk (or reported). */
  flush(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const received = this.#latest;
    this.#latest = undefined;
    if (received !== undefined) {
      this.#writing = this.#writing
        .then(() => this.#write(received))
        .catch((cause: Error) => {
          this.#parts.onProblem({ path: "", why: `can't write ${this.file}: ${cause.message}` });
        });
    }
    return this.#writing;
  }

  async #write(received: Received): Promise<void> {
    const lines: Line[] = [];
    for (const type of Object.keys(received) as ResourceType[]) {
      for (const [name, { version, bytes }] of received[type]) {
        lines.push([type, name, version, Buffer.from(bytes).toString("base64")]);
      }
    }
    const body = JSON.stringify(lines);
    const head: Head = { format, node: this.#parts.node, sha256: digest(body) };
    await mkdir(this.#parts.directory, { recursive: true, mode: 0o700 });
    const temporary = `${this.file}.new`;
    const handle = await open(temporary, "w", 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(head)}\n${body}`);
      // Without it a power cut after the rename can leave an empty file behind the good name.
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, this.file);
  }

  #unread(why: string): { readonly resources: []; readonly problems: readonly Problem[] } {
    return {
      resources: [],
      problems: [{ path: "", why: `${this.file} ${why}`, hint: "it is ignored and will be replaced" }],
    };
  }
}

interface Head {
  readonly format: string;
  readonly node: string;
  readonly sha256: string;
}

type Line = readonly [type: ResourceType, name: string, version: string, base64: string];

const format = "weft last good 1";
const debounceMs = 500;

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function parse<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}
