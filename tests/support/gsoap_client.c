/* A client of gSOAP, compiled against what its own tools made of one of our WSDLs.

   client ADDRESS ACTION BODY FOLDER [DOCUMENT CONTENT-ID]
   sends the file BODY inside the operation's element, with DOCUMENT as an MTOM part; prints the answer's children, and
   writes the parts that came with it to FOLDER/0, FOLDER/1 and so on. Exit 1: a fault, which goes to standard error. */
#include "soapH.h"
#include "wsaapi.h"
#include "Binding.nsmap"
#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_S = 30, NO_FILE = 9, NO_ATTACHMENT = 7, NO_HEADER = 8 };

static char *whole(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) exit(NO_FILE);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*size + 1);
  if (!bytes || fread(bytes, 1, *size, file) != *size) exit(NO_FILE);
  bytes[*size] = 0;
  fclose(file);
  return bytes;
}

int main(int count, char **words) {
  const char *address = words[1], *action = words[2], *folder = words[4];
  size_t size;
  char *inside[1] = {whole(words[3], &size)};
  struct soap *soap = soap_new1(SOAP_ENC_MTOM | SOAP_IO_CHUNK);
  struct REQUEST request = {0};
  struct RESPONSE response = {0};

  soap_register_plugin(soap, soap_wsa);
  soap->recv_timeout = soap->send_timeout = TIMEOUT_S;
  if (soap_wsa_request(soap, soap_wsa_rand_uuid(soap), address, action)) return NO_HEADER;
  request.__size = 1;
  request.__any = inside;
  if (count > 6) {
    char *document = whole(words[5], &size);
    soap_set_mime(soap, NULL, NULL);
    if (soap_set_mime_attachment(soap, document, size, SOAP_MIME_BINARY, "application/dicom", words[6], NULL, NULL))
      return NO_ATTACHMENT;
  }
  if (OPERATION(soap, address, action, &request, &response)) {
    soap_print_fault(soap, stderr);
    return 1;
  }
  for (int each = 0; each < response.__size; each++) printf("%s\n", response.__any[each]);
  int number = 0;
  for (struct soap_multipart *part = soap->mime.list; part; part = part->next) {
    if (!part->ptr || !part->size) continue; /* the root, which was read already */
    char path[4096];
    snprintf(path, sizeof path, "%s/%d", folder, number++);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(part->ptr, 1, part->size, file) != part->size) return NO_FILE;
    fclose(file);
  }
  return 0;
}
