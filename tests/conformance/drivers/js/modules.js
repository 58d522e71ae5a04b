/** Loads packages from the SDK's own environment, which lies outside the tree. */
"use strict";

const path = require("node:path");

/** The package `name` as installed in the folder that SDK_MODULES names. */
function sdk(name) {
  const folder = process.env.SDK_MODULES;
  return require(require.resolve(name, { paths: [path.dirname(folder)] }));
}

module.exports = { sdk };
