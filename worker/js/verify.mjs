// Signature checks, in WebCrypto. Which key may be tried for a token is core's decision. Of RSA keys the runtime
// takes the exponents 3, 17 and 65537 only; that others can't be used here is an error, and not a bad signature.

const ECDSA = (namedCurve, hash) => [{ name: "ECDSA", namedCurve }, { name: "ECDSA", hash }];
const RSA = (name, hash, saltLength) => [
  { name, hash },
  { name, saltLength },
];

/** For each `alg` (RFC 7518, RFC 8037): how its keys are imported, and how they are used. */
export const ALGORITHMS = {
  RS256: RSA("RSASSA-PKCS1-v1_5", "SHA-256"),
  RS384: RSA("RSASSA-PKCS1-v1_5", "SHA-384"),
  RS512: RSA("RSASSA-PKCS1-v1_5", "SHA-512"),
  PS256: RSA("RSA-PSS", "SHA-256", 32),
  PS384: RSA("RSA-PSS", "SHA-384", 48),
  PS512: RSA("RSA-PSS", "SHA-512", 64),
  ES256: ECDSA("P-256", "SHA-256"),
  ES384: ECDSA("P-384", "SHA-384"),
  ES512: ECDSA("P-521", "SHA-512"),
  EdDSA: [{ name: "Ed25519" }, { name: "Ed25519" }],
};

/** How many imported keys are kept; issuers have a handful each. */
const MAX_KEYS = 256;
const keys = new Map();

/** Whether the signature is good, or a text that says why that can't be told. */
export async function verify(algorithm, jwk, signature, message) {
  try {
    const [importing, using] = ALGORITHMS[algorithm];
    const name = `${algorithm} ${jwk}`;
    let key = keys.get(name);
    if (key === undefined) {
      key = await crypto.subtle.importKey("jwk", JSON.parse(jwk), importing, false, ["verify"]);
      if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value);
      keys.set(name, key);
    }
    return await crypto.subtle.verify(using, key, signature, message);
  } catch (error) {
    return String(error);
  }
}
