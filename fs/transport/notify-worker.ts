import { parentPort } from 'node:worker_threads';
import { libc } from '../host/native.ts';
import type { Order } from './notify.ts';

parentPort?.on('message', (order: Order) => {
  if ('close' in order) {
    libc.close(order.fd);
    return;
  }
  // Errors need no answer: ENOENT says the kernel had nothing cached, ENODEV that the mount is gone.
  libc.write(order.fd, order.message, order.message.length);
  parentPort?.postMessage('written');
});
