import type { ServiceReference } from "../../common/model/service.ts";
import type { Source } from "../../common/model/source.ts";
import type { Resource } from "../resources/resource.ts";
import type { CompiledVirtualService } from "../resources/virtual-service/compiled.ts";

/** A place in a VirtualService that names a service. */
export interface Reference extends ServiceReference {
  /** Such as `spec.http[0].route[1].destination`. */
  readonly path: string;
  /** The rule's. */
  readonly source: Source;
}

const known = new WeakMap<CompiledVirtualService, readonly Reference[]>();

/** Every destination and mirror of a VirtualService's own rules, in the order written. */
export function referencesOf(resource: Resource<CompiledVirtualService>): readonly Reference[] {
  const { compiled } = resource;
  let references = known.get(compiled);
  if (references === undefined) {
    const ofConnections = (["tls", "tcp"] as const).flatMap((field) =>
      (compiled[field] ?? []).flatMap(({ destinations, source }, index) =>
        destinations.map(({ destination }, place) => ({
          ...destination,
          path: `spec.${field}[${index}].route[${place}].destination`,
          source,
        })),
      ),
    );
    const ofHttp = compiled.http.flatMap((rule, index): Reference[] => {
      const action = rule.route?.action;
      const { destinations, mirrors } =
        action?.kind === "forward" ? action : { destinations: [], mirrors: rule.inherited?.mirrors ?? [] };
      const at = `spec.http[${index}]`;
      const hasOneMirror = mirrorIsSingle(resource, index);
      return [
        ...destinations.map(({ destination }, place) => ({
          ...destination,
          path: `${at}.route[${place}].destination`,
          source: rule.source,
        })),
        ...mirrors.map(({ destination }, place) => ({
          ...destination,
          path: hasOneMirror ? `${at}.mirror` : `${at}.mirrors[${place}].destination`,
          source: rule.source,
        })),
      ];
    });
    references = [...ofHttp, ...ofConnections];
    known.set(compiled, references);
  }
  return references;
}

/** Whether the rule was written with `mirror` rather than `mirrors`; both compile to the same. */
function mirrorIsSingle({ object }: Resource<CompiledVirtualService>, index: number): boolean {
  const spec = object["spec"] as { http?: readonly { mirror?: unknown }[] } | undefined;
  return spec?.http?.[index]?.mirror !== undefined;
}
