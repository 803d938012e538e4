/**
 * Who a TLS peer has proved to be: its certificate chains to a root that we trust, and names exactly one SPIFFE ID of a trust
 * domain that we accept. The only thing that authorization may go by; what a peer merely says of itself is `Exchange.peer`.
 */
export interface PeerIdentity {
  /** As the certificate has it: `spiffe://cluster.local/ns/shop/sa/reviews`. */
  readonly spiffeId: string;
  /** The same without the scheme (Istio's `source.principal`): `cluster.local/ns/shop/sa/reviews`. */
  readonly principal: string;
  /** Lower case. */
  readonly trustDomain: string;
  /** Istio's `source.namespace`; "" for IDs that are not of the form `/ns/<namespace>/sa/<service account>`. */
  readonly namespace: string;
  /** "" like `namespace`. */
  readonly serviceAccount: string;
}
