import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import { parseSpiffeId, spiffeIdOf } from "../../common/identity/spiffe.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { IssuedChain, Lifetimes } from "./authority.ts";
import { CertificateAuthority, defaultLifetimes } from "./authority.ts";
import { createAuthorityFolder } from "./authority-folder.ts";
import type { TokenVerifier } from "./caller.ts";
import { verifyToken } from "./caller.ts";
import { joinTokenVerifier } from "./join-tokens.ts";
import type { PluggedInPlace } from "./plugged-in.ts";
import { readPluggedIn } from "./plugged-in.ts";

/** What the control plane was told about identities. */
export interface IdentitySettings {
  readonly trustDomain: string;
  /** Trust domains that count as this one (Istio's trustDomainAliases). */
  readonly trustDomainAliases: readonly string[];
  /** DNS names and addresses under which proxies reach the secure port, besides those of this machine. */
  readonly serverNames: readonly string[];
  /** An authority that is there already; absent: one is made and kept in the state folder. */
  readonly authority?: PluggedInPlace;
  /** The file of a local mesh's join tokens. */
  readonly joinTokens?: string;
  /** Absent: those of `authority.ts`. */
  readonly lifetimes?: Lifetimes;
}

export interface MeshIdentityParts {
  readonly settings: IdentitySettings;
  /** Where the authority keeps its keys and `root-cert.pem`. */
  readonly folder: string;
  /** Namespace of the control plane's own identity. */
  readonly namespace: string;
  readonly clock: Clock;
  /** Asked after those of the settings. */
  readonly verifiers?: readonly TokenVerifier[];
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
}

/** PEM texts of the control plane's own port, and what it trusts. */
export interface OwnCertificate {
  readonly chain: string;
  readonly privateKey: string;
  readonly roots: string;
}

/** Names that stand in every certificate of the secure port, so that Istio's agents find what they expect. */
const usualNames = ["localhost", "istiod.istio-system.svc", "weft-control-plane"];
const usualAddresses = ["127.0.0.1", "::1"];

/** The authority at work: knows callers, signs for them, and keeps the control plane's own certificate fresh. Long-lived. */
export class MeshIdentity {
  readonly authority: CertificateAuthority;
  readonly #parts: MeshIdentityParts;
  readonly #verifiers: readonly TokenVerifier[];
  #own: OwnCertificate | undefined;
  #cancelRenewal: CancelTimer | undefined;
  #onRenewed: (own: OwnCertificate) => void = () => {};

  private constructor(parts: MeshIdentityParts, authority: CertificateAuthority) {
    this.#parts = parts;
    this.authority = authority;
    const { joinTokens } = parts.settings;
    this.#verifiers = [
      ...(joinTokens === undefined ? [] : [joinTokenVerifier(joinTokens)]),
      ...(parts.verifiers ?? []),
    ];
  }

  /** Rejects with an Error when the authority can't be read or made. */
  static async open(parts: MeshIdentityParts): Promise<MeshIdentity> {
    const { settings, clock, folder } = parts;
    // The authority may have something to say before there is anybody to hear it.
    const made: { identity?: MeshIdentity } = {};
    const pluggedIn = settings.authority && (await readPluggedIn(settings.authority, clock.now()));
    const authority = await CertificateAuthority.open({
      trustDomain: settings.trustDomain,
      lifetimes: settings.lifetimes ?? defaultLifetimes,
      clock,
      folder: createAuthorityFolder(folder),
      ...(pluggedIn && { pluggedIn }),
      events: { changed: () => void made.identity?.renewOwn(), said: parts.say },
    });
    const identity = new MeshIdentity(parts, authority);
    await identity.renewOwn();
    made.identity = identity;
    authority.start();
    return identity;
  }

  /** What the secure port shows now; `onRenewed` hears of every later one. */
  own(onRenewed: (own: OwnCertificate) => void): OwnCertificate {
    this.#onRenewed = onRenewed;
    return this.#own!;
  }

  /** A certificate proves more than a token. Rejects when a verifier can't tell now. */
  readonly authenticate = async (proof: {
    readonly certificate?: PeerIdentity;
    readonly token?: string;
  }): Promise<PeerIdentity | undefined> => {
    const { trustDomain, trustDomainAliases } = this.#parts.settings;
    const { certificate, token } = proof;
    if (certificate !== undefined && [trustDomain, ...trustDomainAliases].includes(certificate.trustDomain))
      return certificate;
    const owner = token === undefined ? undefined : await verifyToken(this.#verifiers, token);
    return owner && parseSpiffeId(spiffeIdOf({ trustDomain, ...owner }));
  };

  /** The chain for a caller's request, roots last; or why not. */
  readonly issue = async (
    { csr, validitySeconds }: { readonly csr: string; readonly validitySeconds: number },
    { namespace, serviceAccount }: PeerIdentity,
  ) => {
    const { trustDomain } = this.#parts.settings;
    const identity = { trustDomain, namespace, serviceAccount };
    const answer = await this.authority.issue(csr, identity, validitySeconds * 1000);
    if (!answer.ok) return answer;
    const { chain, roots } = answer.issued;
    return { ok: true as const, chain: [...chain, ...roots] };
  };

  /** Makes the control plane's own certificate anew, and again at half its life. */
  async renewOwn(): Promise<void> {
    const { settings, namespace, clock, say } = this.#parts;
    const names = [...new Set([...usualNames, ...settings.serverNames])];
    const isAddress = (name: string) => name.includes(":") || /^[\d.]+$/.test(name);
    try {
      const issued = await this.authority.issueOwn({
        identity: { trustDomain: settings.trustDomain, namespace, serviceAccount: "weft-control-plane" },
        dns: names.filter((name) => !isAddress(name)),
        addresses: [...new Set([...usualAddresses, ...names.filter(isAddress)])],
      });
      this.#own = textsOf(issued);
      this.#onRenewed(this.#own);
      this.#renewIn((issued.expiresAt - clock.now()) / 2);
    } catch (cause) {
      say("error", `the control plane's own certificate was not renewed: ${(cause as Error).message}`);
      this.#renewIn(retryMs);
    }
  }

  async stop(): Promise<void> {
    this.#cancelRenewal?.();
    await this.authority.stop();
    this.#cancelRenewal?.();
  }

  #renewIn(ms: number): void {
    this.#cancelRenewal?.();
    this.#cancelRenewal = this.#parts.clock.after(Math.max(ms, minimumMs), () => void this.renewOwn());
  }
}

const retryMs = 10_000;
/** An authority near its end gives certificates that hardly live; they are not made without end. */
const minimumMs = 250;

function textsOf({
  chain,
  roots,
  privateKey,
}: IssuedChain & { readonly privateKey: string }): OwnCertificate {
  return { chain: chain.join(""), roots: roots.join(""), privateKey };
}
