import { Option } from "commander";
import { readCliConfig } from "./config.ts";

/** Which control plane a verb asks. */
export interface ControlPlaneChoice {
  /** Its HTTP API, `HOST:PORT`. */
  readonly controlPlane: string;
  /** Holds the token that it wants to be shown. */
  readonly tokenFile?: string;
}

/** `--control-plane` */
export function controlPlaneOption(): Option {
  return new Option("--control-plane <host:port>", "HTTP API (env WEFT_CONTROL_PLANE)").default(
    readCliConfig().controlPlane,
  );
}

/** `--token-file` */
export function tokenFileOption(): Option {
  const option = new Option(
    "--token-file <file>",
    "holds the token that the HTTP API wants (env WEFT_HTTP_TOKEN_FILE)",
  );
  const { httpTokenFile } = readCliConfig();
  return httpTokenFile === undefined ? option : option.default(httpTokenFile);
}
