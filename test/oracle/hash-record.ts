/** What `record-hash.ts` wrote down and `hash.test.ts` compares with. */
export interface HashRecord {
  /** The version that was asked. */
  readonly envoy: string;
  readonly keys: readonly string[];
  readonly cases: readonly (RecordedCase & {
    /** Per key, in the order of `keys`: the picked address for an `x-user` header with that value. */
    readonly picks: readonly string[];
  })[];
  /** Other kinds of keys, all asked of case `maglev-10`. */
  readonly sources: readonly {
    readonly name: string;
    readonly headers: readonly (readonly [string, string])[];
    readonly path: string;
    readonly pick: string;
  }[];
}

export interface RecordedCase {
  readonly name: string;
  readonly policy:
    | { readonly kind: "ring-hash"; readonly minimumRingSize: number }
    | { readonly kind: "maglev"; readonly tableSize: number };
  /** As Envoy got them, in this order. */
  readonly endpoints: readonly { readonly address: string; readonly weight: number }[];
}
