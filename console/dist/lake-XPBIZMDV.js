import{a,b,c}from"./chunk-PDFCCDCI.js";import"./chunk-IV4S5ZF6.js";export{b as Place,a as default,c as save};
