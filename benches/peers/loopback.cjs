// Portkey's gateway has no option for the address that it listens on, and an open relay to any host is nobody else's business.
const { Server } = require('node:net');
const { listen } = Server.prototype;
Server.prototype.listen = function (port, _host, ...rest) {
    return listen.call(this, port, '127.0.0.1', ...rest);
};
