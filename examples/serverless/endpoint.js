'use strict';

/** Serverless Framework 3 asks AWS's addresses whatever AWS_ENDPOINT_URL says: its SDK is of version 2. This plugin tells it. */
class Endpoint {
  constructor(serverless) {
    const endpoint = process.env.AWS_ENDPOINT_URL;
    if (endpoint) serverless.getProvider('aws').sdk.config.update({ endpoint, s3ForcePathStyle: true });
  }
}

module.exports = Endpoint;
