// Where does mixpanel-import send to? Its hosts are fixed, so this file, loaded before it, puts the
// local server in their place. Nothing else about it is changed.
const { createRequire } = require('node:module');
const undici = createRequire(process.argv[1])('undici');
const { Pool } = undici;

undici.Pool = class extends Pool {
  constructor(host, options) {
    super(process.env.MIXPANEL_IMPORT_HOST, options);
  }
};
