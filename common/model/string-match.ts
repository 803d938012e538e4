/** How a string is compared; follows Istio's StringMatch and Envoy's StringMatcher. Regexes are RE2, full match. */
export type StringMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "regex"; readonly value: string };
