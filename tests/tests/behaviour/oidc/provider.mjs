// A real OpenID provider for the tests. It says where it is on standard output, and does what it is told on standard
// input: `rotate` makes it sign with a new key, and publish that beside the ones before.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const keys = [];

function newKey() {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  keys.unshift({ ...key, kid: `key-${keys.length}`, use: "sig", alg: "ES256" });
}

const resource = {
  scope: "api",
  audience: "api",
  accessTokenFormat: "jwt",
  accessTokenTTL: 600,
  jwt: { sign: { alg: "ES256" } },
};

function provider(issuer) {
  return new Provider(issuer, {
    clients: [
      {
        client_id: "agent",
        client_secret: "secret",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: "ES256",
      },
      {
        client_id: "website",
        client_secret: "secret of the website",
        redirect_uris: ["https://app.test/.tollgate/callback"],
        post_logout_redirect_uris: ["https://app.test/goodbye"],
        id_token_signed_response_alg: "ES256",
      },
    ],
    jwks: { keys: structuredClone(keys) },
    ttl: { ClientCredentials: 600 },
    features: {
      clientCredentials: { enabled: true },
      // Anybody who types a name is whoever they say.
      devInteractions: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => resource },
    },
  }).callback();
}

let handler;
const server = createServer((request, response) => handler(request, response));
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const renew = () => {
    newKey();
    handler = provider(issuer);
  };
  renew();
  createInterface({ input: process.stdin }).on("line", (line) => {
    if (line === "rotate") {
      renew();
      console.log("rotated");
    }
  });
  // Whoever started this is gone, or wants it to be.
  process.stdin.on("end", () => process.exit());
  console.log(issuer);
});
