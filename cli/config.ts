/** What the command takes from its environment; the only reader of `process.env` in this room. */
export interface CliConfig {
  /** WEFT_CONTROL_PLANE: the control plane's HTTP API, `HOST:PORT`. Default: where `weft up` opens it. */
  readonly controlPlane: string;
  /** WEFT_HTTP_TOKEN_FILE: holds the token of the HTTP API, where it wants one. */
  readonly httpTokenFile?: string;
  /** WEFT_STATE: the folder that `weft up` keeps its state in, relative to the current one. */
  readonly state: string;
  /** Everything, for the processes that `weft up` starts. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function readCliConfig(): CliConfig {
  const environment = process.env;
  return {
    controlPlane: environment.WEFT_CONTROL_PLANE || "127.0.0.1:15014",
    ...(environment.WEFT_HTTP_TOKEN_FILE && { httpTokenFile: environment.WEFT_HTTP_TOKEN_FILE }),
    state: environment.WEFT_STATE || ".weft",
    environment,
  };
}
