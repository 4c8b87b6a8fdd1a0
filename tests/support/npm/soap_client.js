/* npm soap as a client of one operation, knowing only our WSDL.

   node soap_client.js PACKAGES WSDL ADDRESS OPERATION ACTION mtom|simple BODY FOLDER [DOCUMENT CONTENT-ID]
   sends the file BODY inside the operation's element, with DOCUMENT as a part; prints as JSON what it read of the
   answer and the answer's envelope, and writes the parts that came with it to FOLDER/0, FOLDER/1 and so on. */
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const [packages, wsdl, address, operation, action, packaging, body, folder, document, contentId] = process.argv.slice(2);
const soap = require(path.join(packages, 'node_modules', 'soap'));

const ADDRESSING = 'http://www.w3.org/2005/08/addressing';
const TIMEOUT_MS = 30000;

async function main() {
  const client = await soap.createClientAsync(wsdl, {
    endpoint: address,
    forceSoap12Headers: true,
    parseResponseAttachments: true,
  });
  const { input } = client.wsdl.services.Service.ports.Port.binding.methods[operation];
  const header = (name, value, more = '') => `<a:${name} xmlns:a="${ADDRESSING}"${more}>${value}</a:${name}>`;
  client.addSoapHeader(header('Action', action, ' soap:mustUnderstand="true"'));
  client.addSoapHeader(header('MessageID', `urn:uuid:${crypto.randomUUID()}`));
  client.addSoapHeader(header('To', address));
  client.addSoapHeader(header('ReplyTo', `<a:Address>${ADDRESSING}/anonymous</a:Address>`));

  const inside = fs.readFileSync(body, 'utf8');
  const whole = `<o:${input.$name} xmlns:o="${input.targetNamespace}">${inside}</o:${input.$name}>`;
  const options = { forceMTOM: packaging === 'mtom', timeout: TIMEOUT_MS };
  if (document) {
    options.attachments = [
      { mimetype: 'application/dicom', contentId, name: 'document', body: fs.readFileSync(document) },
    ];
  }
  const [read] = await client[`${operation}Async`]({ _xml: whole }, options);
  const parts = (client.lastResponseAttachments || { parts: [] }).parts;
  parts.forEach((part, number) => fs.writeFileSync(path.join(folder, String(number)), part.body));
  process.stdout.write(JSON.stringify({ read, envelope: client.lastResponse, status: 200 }));
}

main().catch((error) => {
  if (!error.root && !error.response) throw error;
  process.stdout.write(JSON.stringify({ fault: error.root, status: error.response && error.response.status }));
});
