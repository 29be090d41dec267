import {spawn} from 'node:child_process';
import {constants, setPriority} from 'node:os';
import {localNode, root} from '../setup/enter.mjs';
import {toolCommand, toolEnvironment} from '../run.mjs';

/** Runs a tool of run.mjs with its output kept; answers status and output. */
export function runTool([name, ...args], options = {}) {
  return runQuietly(localNode(), toolCommand(name, args), options);
}

/**
 * Runs a command to its end, or kills it at `deadlineMs` (milliseconds, status 124 then); answers its
 * exit status, its standard output, and its output (both streams, as they came). `patient`: it takes the processor that nobody else wants.
 */
export function runQuietly(command, args, {deadlineMs = 60_000, cwd = root, env = {}, show = false, patient = false} = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {cwd, env: {...toolEnvironment(), ...env}, stdio: ['ignore', 'pipe', 'pipe']});
    if (patient && child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
    let output = '';
    let stdout = '';
    let late = false;
    const keep = (stream) => (chunk) => {
      output += chunk;
      if (stream === 'stdout') stdout += chunk;
      if (show) process[stream].write(chunk);
    };
    child.stdout.setEncoding('utf8').on('data', keep('stdout'));
    child.stderr.setEncoding('utf8').on('data', keep('stderr'));
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, deadlineMs);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (late) output += `\nkilled after ${deadlineMs / 1000} s`;
      resolve({status: late ? 124 : (code ?? 1), stdout, output});
    });
  });
}
