/**
 * The protobuf messages that Weft reads or writes; build-protos.mjs generates code for these and nothing else. A field whose
 * message type is not listed is left out of the generated code, arrives in `$unknowns` and is named in `omittedFields`, so
 * that a decoder can refuse a predicate which it does not know instead of matching everything.
 */

/** Where the messages are declared, below node_modules/@grpc/grpc-js-xds/deps/<any>/. */
export const protoFiles = [
  "envoy/service/discovery/v3/discovery.proto",
  "envoy/config/cluster/v3/cluster.proto",
  "envoy/config/endpoint/v3/endpoint.proto",
  "envoy/config/listener/v3/listener.proto",
  "envoy/config/route/v3/route.proto",
  "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
  "envoy/extensions/filters/http/router/v3/router.proto",
  "envoy/extensions/filters/http/fault/v3/fault.proto",
  "envoy/extensions/filters/http/cors/v3/cors.proto",
];

export const usedMessages = [
  "envoy.service.discovery.v3.DiscoveryRequest",
  "envoy.service.discovery.v3.DiscoveryResponse",
  "envoy.service.discovery.v3.DeltaDiscoveryRequest",
  "envoy.service.discovery.v3.DeltaDiscoveryResponse",
  "envoy.service.discovery.v3.Resource",

  "envoy.config.listener.v3.Listener",
  "envoy.config.listener.v3.ApiListener",
  "envoy.config.listener.v3.FilterChain",
  "envoy.config.listener.v3.Filter",

  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig",
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
  "envoy.extensions.filters.network.http_connection_manager.v3.Rds",
  "envoy.extensions.filters.http.router.v3.Router",
  "envoy.extensions.filters.http.fault.v3.HTTPFault",
  "envoy.extensions.filters.http.fault.v3.FaultAbort",
  "envoy.extensions.filters.common.fault.v3.FaultDelay",
  "envoy.extensions.filters.http.cors.v3.Cors",
  "envoy.extensions.filters.http.cors.v3.CorsPolicy",

  "envoy.config.route.v3.RouteConfiguration",
  "envoy.config.route.v3.Vhds",
  "envoy.config.route.v3.VirtualHost",
  "envoy.config.route.v3.Route",
  "envoy.config.route.v3.RouteMatch",
  "envoy.config.route.v3.HeaderMatcher",
  "envoy.config.route.v3.QueryParameterMatcher",
  "envoy.config.route.v3.RouteAction",
  "envoy.config.route.v3.RouteAction.RequestMirrorPolicy",
  "envoy.config.route.v3.WeightedCluster",
  "envoy.config.route.v3.WeightedCluster.ClusterWeight",
  "envoy.config.route.v3.RetryPolicy",
  "envoy.config.route.v3.RetryPolicy.RetryBackOff",
  "envoy.config.route.v3.RedirectAction",
  "envoy.config.route.v3.DirectResponseAction",

  "envoy.config.cluster.v3.Cluster",
  "envoy.config.cluster.v3.Cluster.EdsClusterConfig",
  "envoy.config.endpoint.v3.ClusterLoadAssignment",
  "envoy.config.endpoint.v3.LocalityLbEndpoints",
  "envoy.config.endpoint.v3.LbEndpoint",
  "envoy.config.endpoint.v3.Endpoint",

  "envoy.config.core.v3.Node",
  "envoy.config.core.v3.Locality",
  "envoy.config.core.v3.Metadata",
  "envoy.config.core.v3.ControlPlane",
  "envoy.config.core.v3.Address",
  "envoy.config.core.v3.SocketAddress",
  "envoy.config.core.v3.ConfigSource",
  "envoy.config.core.v3.AggregatedConfigSource",
  "envoy.config.core.v3.DataSource",
  "envoy.config.core.v3.HeaderValue",
  "envoy.config.core.v3.HeaderValueOption",
  "envoy.config.core.v3.RuntimeFractionalPercent",
  "envoy.type.v3.FractionalPercent",
  "envoy.type.matcher.v3.StringMatcher",
  "envoy.type.matcher.v3.RegexMatcher",
  "envoy.type.matcher.v3.RegexMatcher.GoogleRE2",
  "envoy.type.matcher.v3.RegexMatchAndSubstitute",

  "google.rpc.Status",
  "google.protobuf.Any",
  "google.protobuf.Duration",
  "google.protobuf.Struct",
  "google.protobuf.Value",
  "google.protobuf.ListValue",
  "google.protobuf.BoolValue",
  "google.protobuf.UInt32Value",
];
