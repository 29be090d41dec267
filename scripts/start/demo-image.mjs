import {assembleBusyboxImage, dockerEngine} from '../../libs/testkit/src/index.ts';

/** Answers each request with a page that tells which replica made it. */
const page = `#!/bin/sh
printf 'Content-Type: text/html; charset=utf-8\\r\\n\\r\\n'
cat <<HTML
<!doctype html>
<html lang="en">
<title>$GREETING</title>
<style>body { font: 1.2rem/1.6 system-ui, sans-serif; margin: 20vh auto; max-width: 32rem } code { background: #eee; padding: .1em .3em }</style>
<h1>$GREETING</h1>
<p>This page comes from the replica <code>$(hostname)</code>. Load the other URL for the other one.</p>
</html>
HTML
`;

/** Makes sure that the engine has the demo's image; answers its name. */
export async function demoImage() {
  return await assembleBusyboxImage(await dockerEngine(), {
    name: 'hivemind-demo/web:1',
    // busybox's httpd asks /cgi-bin/index.cgi for a page where a directory has no index.html.
    files: {'/www/cgi-bin/index.cgi': {text: page, mode: 0o755}},
    changes: ['EXPOSE 80', 'CMD ["httpd", "-f", "-p", "80", "-h", "/www"]'],
  });
}
