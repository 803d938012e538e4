/** How the path of a request is brought to the one form that is routed, authorized and forwarded. */
export interface PathNormalization {
  readonly mode: PathNormalizationMode;
  /** What `;name=value` after a segment becomes; frameworks that cut it off themselves see another path than policies do. */
  readonly parameters: PathParametersMode;
  /** What `%2F` and `%5C` become, unless `mode` decodes them anyway (Envoy's path_with_escaped_slashes_action). */
  readonly escapedSlashes: EscapedSlashesMode;
}

/**
 * Istio's meshConfig.pathNormalization. `base`: dot segments, backslashes and needlessly escaped characters; `merge-slashes`: also
 * runs of slashes; `decode-and-merge-slashes`: also `%2F` and `%5C`.
 */
export type PathNormalizationMode = (typeof pathNormalizationModes)[number];
export const pathNormalizationModes = ["none", "base", "merge-slashes", "decode-and-merge-slashes"] as const;

export type PathParametersMode = (typeof pathParametersModes)[number];
export const pathParametersModes = ["keep", "strip", "reject"] as const;

export type EscapedSlashesMode = (typeof escapedSlashesModes)[number];
export const escapedSlashesModes = [
  "keep",
  "reject",
  "unescape-and-redirect",
  "unescape-and-forward",
] as const;

/** Istio's default for every proxy. */
export const basePathNormalization: PathNormalization = Object.freeze({
  mode: "base",
  parameters: "keep",
  escapedSlashes: "keep",
});
