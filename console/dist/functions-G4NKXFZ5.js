import{a,b}from"./chunk-7YGIOPKF.js";import"./chunk-OKD34HYN.js";import"./chunk-MXWKQQRQ.js";import"./chunk-5AZWODRF.js";export{b as Logs,a as default};
