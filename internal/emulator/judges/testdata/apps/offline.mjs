// Preloaded into each Node of the judges. Connections to other machines fail and are printed.
import net from 'node:net';

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const [first] = Array.isArray(args[0]) ? args[0] : args;
  const host = typeof first === 'object' ? (first.host ?? first.path ?? 'localhost') : typeof args[1] === 'string' ? args[1] : 'localhost';
  const isPath = typeof first === 'object' && first.path !== undefined && first.host === undefined && first.port === undefined;
  if (!isPath && !['localhost', '127.0.0.1', '::1'].includes(host)) {
    console.error(`OUTSIDE: ${host}`);
    queueMicrotask(() => this.destroy(new Error(`no network: ${host}`)));
    return this;
  }
  return connect.apply(this, args);
};
