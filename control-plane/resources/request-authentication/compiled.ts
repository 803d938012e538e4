import type { JwtProvider } from "../../../common/model/authentication.ts";
import type { Labels } from "../../../common/model/endpoint.ts";

export interface CompiledRequestAuthentication {
  readonly kind: "RequestAuthentication";
  /** Empty: all workloads of its namespace. */
  readonly selector: Labels;
  /** Their names are not unique yet, and remote keys may come from public addresses only: the mesh knows more. */
  readonly providers: readonly JwtProvider[];
}
