import type { Service } from "../../../common/model/service.ts";

export interface CompiledServiceEntry {
  readonly kind: "ServiceEntry";
  /** One per host. */
  readonly services: readonly Service[];
}
